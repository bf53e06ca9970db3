"""HTTP/1.1 as strictly as its standard allows, and in bounded time.

h11 forgives what two parties may understand in two ways: line feeds without carriage returns, folded headers,
a length that is given twice, other versions of HTTP. A proxy in front may see another request there than the
gateway does (RFC 9112, section 11.2). h11 also needs most of a second for a header of 15,000 blanks, and as
long for the smallest chunks of half a megabyte: anybody could stop all other clients with these.
"""

import re

import h11

MOST_LINES = 100  # of a head
FEW_CHUNKS, BYTES_A_CHUNK = 128, 2048  # a body may have so many chunks, and one more for each so many bytes
_PIECE = 8192  # bytes that h11 gets at once, so that looking at what it holds stays cheap
_CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 127])  # all but tabs, line feeds and carriage returns
_TABS = bytes.maketrans(b"\t", b" ")
_LONGEST_BLANK = b" " * 65
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{0,8}\r?")
_VERSIONS = frozenset({b"1.0", b"1.1"})


class StrictConnection(h11.Connection):
    """A server's side of a connection that refuses what could be understood in two ways.

    Attributes:
        fault: the reason why the last request was refused, in words for its client; "" if h11 refused it.
    """

    fault = ""

    def __init__(self, longest_head: int) -> None:
        super().__init__(h11.SERVER, longest_head)
        self._waiting = bytearray()  # bytes that h11 has not got yet
        self._chunks = self._bytes = 0  # of the body that is being read
        self._chunked = self._within_chunk = False

    def receive_data(self, data: bytes) -> None:
        """Take in bytes from the client."""
        self._waiting += data

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return what comes next. Raises RemoteProtocolError, with `fault` set, if it is refused."""
        event = self._next()
        while event is h11.NEED_DATA and self._waiting:
            super().receive_data(bytes(self._waiting[:_PIECE]))
            del self._waiting[:_PIECE]
            event = self._next()
        return event

    def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        held = b""
        if self.their_state is h11.IDLE:
            held = self.trailing_data[0]
            self._require(head_fault(held.partition(b"\r\n\r\n")[0]))
        elif self.their_state is h11.SEND_BODY and not self._within_chunk:
            self._require(self._chunk_fault())
        event = super().next_event()
        if isinstance(event, h11.Request):
            head = held[: len(held) - len(self.trailing_data[0])]
            self._require(request_fault(event, head))
            self._chunks = self._bytes = 0
            self._chunked = any(name == b"transfer-encoding" for name, _ in event.headers)
            self._within_chunk = not self._chunked
        elif isinstance(event, h11.Data):
            self._count(event)
        return event

    def _count(self, event: h11.Data) -> None:
        """Count a piece of a body. Raises RemoteProtocolError if a body has too many chunks."""
        self._bytes += len(event.data)
        if self._chunked:
            self._chunks += event.chunk_start
            self._within_chunk = not event.chunk_end
            if self._chunks > FEW_CHUNKS + self._bytes // BYTES_A_CHUNK:
                self._require(f"a body's chunks must be of {BYTES_A_CHUNK} bytes or more.")

    def _chunk_fault(self) -> str:
        """Return what is wrong with the line before the next chunk, as far as it came; "" if nothing is."""
        held = self.trailing_data[0]
        line, complete, rest = held.removeprefix(b"\r\n").partition(b"\r\n")
        if not _CHUNK_SIZE.fullmatch(line):
            return "a chunk must begin with its size alone, and nothing may follow the last one."
        if complete and not line.strip(b"0") and rest[:2] not in (b"", b"\r", b"\r\n"):
            return "nothing may follow the last chunk."
        return ""

    def _require(self, fault: str) -> None:
        if fault:
            self.fault = fault
            raise h11.RemoteProtocolError(fault)


def head_fault(head: bytes) -> str:
    """Return what is wrong with the lines of a request's head, or of its beginning; "" if nothing is."""
    head = head.removesuffix(b"\r").translate(_TABS)  # what comes last may be half of a line's end
    lines = head.count(b"\r\n")
    if lines > MOST_LINES:
        return f"at most {MOST_LINES} headers may be sent."
    if (
        lines != head.count(b"\n")
        or lines != head.count(b"\r")
        or b"\n " in head
        or _LONGEST_BLANK in head
        or len(head) != len(head.translate(None, _CONTROLS))
    ):
        return "a header must be one line of printable characters that ends with CR LF, without long blanks."
    return ""


def request_fault(request: h11.Request, head: bytes) -> str:
    """Return what is wrong with a request whose head h11 has read; "" if nothing is."""
    if request.http_version not in _VERSIONS:
        return "the version of HTTP must be 1.1 or 1.0."
    lines = [line.partition(b":") for line in head.split(b"\r\n")]
    lengths = [value.strip() for name, _, value in lines if name.lower() == b"content-length"]
    if len(lengths) > 1 or not all(length.isdigit() for length in lengths):
        return "Content-Length must be given once, as one number."
    if request.http_version == b"1.0" and any(name == b"transfer-encoding" for name, _ in request.headers):
        return "Transfer-Encoding needs version 1.1 of HTTP."
    return ""
