"""What a server's refusal means: for one request, for all of them, or for the moment only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ner_ray import signatures
from ner_ray.errors import (
    EngineError,
    FilteredError,
    PromptTooLongError,
    RequestError,
    UnansweredError,
    UnavailableError,
)

KEY_REFUSED = (401, 403)
_FOR_ALL = (*KEY_REFUSED, 402, 404, 405, 407, 410)  # of the key, the account, the URL, or the model
_PASSING = (408, 409, 423, 424, 425, 429)
_NO_QUOTA = re.compile(
    r"insufficient[ _](quota|balance|credit|funds)|exceeded your current quota|billing[ _](hard|not)|credit balance"
    r"|out of credits|requires more credits|usage limits?\b|budget has been exceeded"
    r"|model[ _](not[ _]found|not[ _]exist|decommissioned)|deploymentnotfound",
    re.IGNORECASE,
)
_COMES_BACK = re.compile(r"(retry|again) in|retry[-_ ]?(after|delay)|per (minute|second|hour|day)", re.IGNORECASE)
_LOADING = re.compile(r"model (is |has |was )?(being )?(unloaded|crashed|loading)|failed to load model", re.IGNORECASE)
_FILTERED = re.compile(r"content[ _](filter|management policy|policy)|ResponsibleAI|input was flagged", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"context[ _](length|window|size)|too long|too many tokens|maximum context|request too large"
    r"|max_new_tokens` must be|max_tokens must be at least 1, got -",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"\b(?:sk|pk|gsk|xai|hf|key)[-_][\w*.-]{6,}|\bAIza[\w-]{10,}|(?<=Bearer )\S+|(?<=://)[^/\s@]+(?=@)", re.IGNORECASE
)
_TAGS = re.compile(r"<(style|script|head)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_LONGEST = 300  # characters of a server's sentence
_WORDS = ("message", "error", "detail", "msg", "error_message", "errors")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was not answered as it should be.

    Attributes:
        said: the server's sentence, without secrets.
        status: its status, or the one that it names in a reply with the status 200; None if there was no reply.
        wait: the seconds after which the server wants the request repeated, if it says so.
    """

    said: str
    status: int | None = None
    wait: float | None = None

    @property
    def may_pass(self) -> bool:
        """Whether the same request may be answered later."""
        return isinstance(self.error(), UnansweredError)

    def error(self) -> EngineError | RequestError:
        """What it means."""
        said = self.said if len(self.said) <= _LONGEST else self.said[:_LONGEST] + "…"
        about = f"status {self.status}: {said}" if self.status else said
        if self._is_clients and _FILTERED.search(self.said):
            return FilteredError(f"a filter withholds the answer ({about})")
        if self._concerns_all():
            what = "the API key" if self.status in KEY_REFUSED else "every request"
            return UnavailableError(f"the server refuses {what} ({about})")
        if self.status != 429 and _TOO_LONG.search(self.said):
            return PromptTooLongError(f"the server refuses the prompt ({about})")
        if self._is_clients and self.status not in _PASSING and not _LOADING.search(self.said):
            return RequestError(f"the server refuses the request ({about})")
        return UnansweredError(f"the server does not answer ({about})")

    @property
    def _is_clients(self) -> bool:
        """Whether the server says that the client is at fault."""
        return self.status is not None and 400 <= self.status < 500

    def _concerns_all(self) -> bool:
        if self.status in _FOR_ALL:
            return True
        lasting = _NO_QUOTA.search(self.said) and not _COMES_BACK.search(self.said)
        return bool(lasting) and (self.status or 0) < 500


def of_body(content: str, status: int | None, key: str) -> Refusal:
    """The refusal that a body of any shape holds; a status in it counts more than that of a reply with 200."""
    try:
        body = json.loads(content)
    except ValueError:
        body = _TAGS.sub(" ", content)
    named = _named_status(body) if status in (None, 200) else status
    return Refusal(masked(_sentence(body), key), named)


def masked(text: str, key: str) -> str:
    """A server's words on one line, without what may be a secret."""
    text = " ".join(text.split())
    if len(key) > 5:
        text = text.replace(key, "***")
    return _SECRET.sub("***", signatures.masked(text))


def _sentence(body: Any) -> str:
    """The first sentence in a body, wherever it stands; with the error's code, which often says more."""
    if isinstance(body, str):
        return body.strip() or "nothing"
    if isinstance(body, list):
        return _sentence(body[0]) if body else "nothing"
    if not isinstance(body, dict):
        return json.dumps(body)
    code = next((body[word] for word in ("code", "type") if isinstance(body.get(word), str)), "")
    for word in _WORDS:
        if body.get(word):
            said = _sentence(body[word])
            return f"{said} [{code}]" if code and code not in said else said
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(first, dict) and first.get("error"):
        return _sentence(first["error"])
    return code or f"no answer, only the fields {', '.join(map(str, body)) or '(none)'}"


def _named_status(body: Any) -> int | None:
    """The status that an error in a body names."""
    if not isinstance(body, dict):
        return None
    for place in (body.get("error"), body, *(body.get("choices") or ())):
        error = place.get("error", place) if isinstance(place, dict) else {}
        for word in ("code", "status", "status_code"):
            value = str(error.get(word, "")) if isinstance(error, dict) else ""
            if value.isdigit() and 400 <= int(value) < 600:
                return int(value)
    return None
