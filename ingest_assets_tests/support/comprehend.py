"""A stand-in for Amazon Comprehend, which real boto3 talks to, and which refuses what Amazon refuses.

https://docs.aws.amazon.com/comprehend/latest/APIReference/API_BatchDetectEntities.html: the sizes, the
languages, the shape of requests, replies and errors. What it finds is what it was told to find.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REGION = "eu-west-1"
LANGUAGES = {"en", "es", "fr", "de", "it", "pt", "ar", "hi", "ja", "ko", "zh", "zh-TW"}
_AUTHORIZATION = re.compile(
    rf"AWS4-HMAC-SHA256 Credential=\w+/\d{{8}}/{REGION}/comprehend/aws4_request, "
    r"SignedHeaders=[\w;-]+, Signature=[0-9a-f]{64}"
)


class StandIn:
    """What the server knows and was asked.

    Attributes:
        finds: Comprehend's type by the words that are found.
        faults: status and error code of the next answers, before it answers well again.
        item_errors: error code by words, for texts that hold them.
        batches: the texts of each request that was answered.
        wrong_offsets: tell places one too far to the right.
    """

    def __init__(self) -> None:
        self.finds: dict[str, str] = {}
        self.faults: deque[tuple[int, str]] = deque()
        self.item_errors: dict[str, str] = {}
        self.batches: list[list[str]] = []
        self.requests = 0
        self.wrong_offsets = False

    def answer(self, headers: Mapping[str, str], body: bytes) -> tuple[int, dict[str, Any]]:
        self.requests += 1
        if headers["X-Amz-Target"] != "Comprehend_20171127.BatchDetectEntities":
            return _fault(400, "UnknownOperationException")
        if not _AUTHORIZATION.fullmatch(headers.get("Authorization", "")):
            return _fault(400, "IncompleteSignature")
        if self.faults:
            return _fault(*self.faults.popleft())
        request = json.loads(body)
        if code := _refusal(request):
            return _fault(400, code)
        texts = request["TextList"]
        self.batches.append(texts)
        results, errors = [], []
        for index, text in enumerate(texts):
            failed = [code for words, code in self.item_errors.items() if words in text]
            if failed:
                errors.append({"Index": index, "ErrorCode": failed[0], "ErrorMessage": "It failed."})
            else:
                results.append({"Index": index, "Entities": list(self._entities(text))})
        return 200, {"ResultList": results, "ErrorList": errors}

    def _entities(self, text: str) -> Iterator[dict[str, Any]]:
        for words, kind in self.finds.items():
            for match in re.finditer(re.escape(words), text):
                yield {
                    "Score": 0.9876,
                    "Type": kind,
                    "Text": words,
                    # In code points, as Python counts.
                    "BeginOffset": match.start() + self.wrong_offsets,
                    "EndOffset": match.end() + self.wrong_offsets,
                }


def _refusal(request: Mapping[str, Any]) -> str | None:
    texts = request.get("TextList")
    if request.get("LanguageCode") not in LANGUAGES:
        return "UnsupportedLanguageException"
    if set(request) != {"TextList", "LanguageCode"} or not isinstance(texts, list):
        return "InvalidRequestException"
    if not texts or not all(isinstance(text, str) and text for text in texts):
        return "InvalidRequestException"
    if len(texts) > 25:
        return "BatchSizeLimitExceededException"
    if any(len(text.encode()) > 5_000 for text in texts):
        return "TextSizeLimitExceededException"
    return None


def _fault(status: int, code: str) -> tuple[int, dict[str, Any]]:
    return status, {"__type": code, "Message": f"The stand-in says {code}."}


@contextmanager
def serving(stand_in: StandIn) -> Iterator[str]:
    """The endpoint's address, on loopback, for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, reply = stand_in.answer(dict(self.headers), body)
            content = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
