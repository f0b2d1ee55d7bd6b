"""How the starter model is made: its training mixture, its sentences and vocabulary, and what it practises first."""
