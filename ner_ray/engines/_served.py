"""The models that a server lists, and whether its URL is the right one."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from ner_ray.engines._refusals import KEY_REFUSED, masked, of_body
from ner_ray.errors import ModelError

if TYPE_CHECKING:
    import httpx

_SECONDS = 2.0
_NO_LIST = (400, 404, 405, 501)  # of servers that answer, but do not list their models
_ENDPOINTS = ("/chat/completions", "/completions")


def served(url: str, model: str, key: str) -> dict[str, str]:
    """The ids of the models that a server lists, each with its owner; empty if it has no such list.

    Args:
        url: the server's base URL.
        model: the model that is wanted.
        key: the API key.

    Raises:
        ModelError: nothing usable answers there, the key is refused, or the model is not served.
    """
    import httpx

    url = url.rstrip("/")
    try:
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(timeout=_SECONDS, headers=headers, follow_redirects=True) as client:
            models = _models(client, url, key)
    except (httpx.TransportError, httpx.InvalidURL) as error:
        hint = "start the server, or correct engine.url"
        raise ModelError(f"nothing answers at {url}: {error}{_through(url)}", hint=_with_proxy(url, hint)) from None
    if models and not any(_is_served(model, listed) for listed in models):
        raise ModelError(f"{url} does not serve {model!r}; it serves: {', '.join(sorted(models))}")
    return models


def _models(client: httpx.Client, url: str, key: str) -> dict[str, str]:
    reply = client.get(f"{url}/models")
    if reply.status_code in KEY_REFUSED:
        said = of_body(reply.text, reply.status_code, key).said
        hint = _with_proxy(url, "engine.api_key_env names the environment variable that holds it")
        raise ModelError(
            f"{url} refuses the API key (status {reply.status_code}: {said[:200]}){_through(url)}", hint=hint
        )
    if reply.status_code in _NO_LIST:
        _check_endpoint(client, url)
        return {}
    if reply.status_code != 200:
        said = of_body(reply.text, reply.status_code, key).said
        hint = _with_proxy(url, "wait until the server is ready, or correct engine.url")
        raise ModelError(
            f"{url}/models answers with status {reply.status_code}: {said[:200]}{_through(url)}", hint=hint
        )
    models = _listed(reply)
    if models is None:
        kind = reply.headers.get("content-type", "no content type").split(";")[0]
        raise ModelError(
            f"{url}/models answers, but not with a list of models ({kind}: {masked(reply.text, key)[:60]!r})",
            hint=_suggestion(client, url),
        )
    return models


def _listed(reply: httpx.Response) -> dict[str, str] | None:
    """The models in a reply, with their owners; None if it is of another shape."""
    try:
        body = reply.json()
    except ValueError:
        return None
    data: Any = body.get("data", ()) if isinstance(body, dict) and "data" in body else None
    if data is None:  # a server without any model may say null
        return {} if isinstance(body, dict) and body.get("object") == "list" else None
    if not isinstance(data, list) or not all(isinstance(model, dict) and "id" in model for model in data):
        return None
    return {str(model["id"]): str(model.get("owned_by")) for model in data}


def _is_served(model: str, listed: str) -> bool:
    """Whether an entry of the list means the model: by its name, its path's last part, or a pattern."""
    return model == listed or listed.endswith(f"/{model}") or ("*" in listed and fnmatchcase(model, listed))


def _check_endpoint(client: httpx.Client, url: str) -> None:
    """Makes sure that there is an endpoint at the URL; a request without fields costs nothing."""
    if all(client.post(f"{url}{endpoint}", json={}).status_code in (404, 405) for endpoint in _ENDPOINTS):
        raise ModelError(f"{url} is not the base URL of an OpenAI-compatible API", hint=_suggestion(client, url))


def _suggestion(client: httpx.Client, url: str) -> str:
    """How to correct the URL."""
    better = f"{url}/v1"
    is_better = client.get(f"{better}/models")
    if is_better.status_code == 200 and _listed(is_better) is not None:
        return f"engine.url={better}, which answers"
    return "engine.url is the server's base URL, most often with /v1 at its end"


def _proxy(url: str) -> str:
    """The proxy that requests to the URL go through, without its password; empty for none."""
    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    return "" if not proxy or proxy_bypass(parts.hostname or "") else masked(proxy, "")


def _through(url: str) -> str:
    proxy = _proxy(url)
    return f" (through the proxy {proxy})" if proxy else ""


def _with_proxy(url: str, hint: str) -> str:
    return f"{hint}; NO_PROXY={urlsplit(url).hostname} avoids the proxy" if _proxy(url) else hint
