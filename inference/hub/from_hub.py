"""The hub as a source: HTTPS with byte ranges."""

from __future__ import annotations

import re

import httpx

from inference.hub.sink import Sink, SourceError

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_RECONNECTIONS = 5


def fetch(sink: Sink) -> None:
    """Append what is missing from the model, reconnecting where a transfer breaks off.

    ``SourceError`` when the hub cannot be reached or serves another file.
    """
    url = sink.entry.hub_url
    sink.progress.say(f"fetching {url}")
    with httpx.Client(follow_redirects=True, timeout=_TIMEOUT) as client:
        for _ in range(_RECONNECTIONS):
            begun_at = sink.size
            try:
                _stream(client, url, sink)
            except httpx.InvalidURL as error:
                raise SourceError(f"{url}: {error}") from error
            except httpx.HTTPError as error:
                if sink.size == begun_at:
                    reason = str(error) or type(error).__name__
                    raise SourceError(f"the hub cannot be reached ({url}): {reason}") from error
                sink.progress.say(f"the connection broke at {sink.size:,} bytes; reconnecting")
            if sink.size == sink.entry.size:
                return
    raise SourceError(f"{url}: the connection broke {_RECONNECTIONS} times")


def _stream(client: httpx.Client, url: str, sink: Sink) -> None:
    # A compressed transfer would have no byte ranges.
    headers = {"Accept-Encoding": "identity"}
    if sink.size:
        headers["Range"] = f"bytes={sink.size}-"
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            _check_range(response, sink, url)
        elif response.status_code == httpx.codes.OK:
            if sink.size:
                sink.resume_at(0)
        else:
            raise SourceError(f"{url}: HTTP {response.status_code} {response.reason_phrase}")
        # Blocks as they arrive: what came before a break must not be lost in a buffer.
        for block in response.iter_bytes():
            sink.write(block)


def _check_range(response: httpx.Response, sink: Sink, url: str) -> None:
    given = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", given)
    if match is None or int(match[1]) != sink.size or match[2] not in ("*", str(sink.entry.size)):
        raise SourceError(
            f"{url}: asked for bytes {sink.size}- of {sink.entry.size}, got {given[:80]!r}"
        )
