"""The formats of annotated texts: one file each."""
