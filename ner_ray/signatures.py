"""Signatures and tokens in URLs, which are a key to the file for whoever sees them: nothing may show or record them."""

from __future__ import annotations

import re

_NAMES = (
    r"x-(?:amz|goog|oss|obs|cos|ms|xet)-[\w-]+|q-(?:sign|ak|key|header|url)[\w-]*|signature|sig|policy"
    r"|(?:aws|oss)?access_?key_?id|googleaccessid|api[-_]?key|jwt|(?:(?:access|auth|security|session|sas|id)[-_]?)?token"
    r"|secret|password"
)
_SECRET = re.compile(_NAMES, re.IGNORECASE)
# Without a signature, these may be what tells one file from another.
_BESIDE_SIGNATURES = re.compile(
    r"expires|key-pair-id|hash-algorithm|s[eiprtv]|spr|sip|srt?|ss|sdd|sk(?:oid|tid|t|e|s|v)|s[au]oid|scid",
    re.IGNORECASE,
)
_IN_TEXT = re.compile(rf"([?&](?:{_NAMES})=)[^&\s\"'<>)\]}}]*[^&\s\"'<>)\]}}.,:;]", re.IGNORECASE)


def masked(text: str) -> str:
    """A text without the signatures and tokens of the URLs in it.

    >>> masked("cannot read https://host/a.parquet?part=1&X-Amz-Signature=0123abcd: status 403")
    'cannot read https://host/a.parquet?part=1&X-Amz-Signature=***: status 403'
    """
    return _IN_TEXT.sub(r"\1***", text)


def unsigned(uri: str) -> tuple[str, str]:
    """A URI without its signature, the same whenever it was signed, and the signature.

    >>> unsigned("https://host/a.parquet?part=1&Expires=1700000000&Signature=0123abcd")
    ('https://host/a.parquet?part=1', 'Expires=1700000000&Signature=0123abcd')
    """
    path, mark, query = uri.partition("?")
    if not (mark and "://" in path):
        return uri, ""
    parts = query.split("&")
    if not any(_SECRET.fullmatch(_name(part)) for part in parts):
        return uri, ""
    kept = [part for part in parts if not (_SECRET.fullmatch(_name(part)) or _BESIDE_SIGNATURES.fullmatch(_name(part)))]
    signature = [part for part in parts if part not in kept]
    return f"{path}?{'&'.join(kept)}" if kept else path, "&".join(signature)


def signed(uri: str, signature: str) -> str:
    """A URI with the signature that `unsigned` has taken off.

    >>> signed("https://host/a.parquet", "sig=0123abcd")
    'https://host/a.parquet?sig=0123abcd'
    """
    return f"{uri}{'&' if '?' in uri else '?'}{signature}" if signature else uri


def _name(part: str) -> str:
    return part.partition("=")[0]
