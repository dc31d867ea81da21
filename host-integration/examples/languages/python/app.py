"""A component in Python that calls another one, and is called.

`wit_world` is made from the world in ../wit when the component is built.
"""

import math

from componentize_py_types import Err, Ok, Some
from wit_world.imports import echo
from wit_world.imports.types import (
    Address,
    Handling,
    Lists,
    Many,
    Order,
    Point,
    Results,
    Shape_Box,
    Shape_Label,
    Shape_Nothing,
    Shape_Polygon,
    Shape_Radius,
    Size,
    Status,
)

UNICODE = "Grüße, 世界 🦀"


class Echo:
    """The export `inhost:demo/echo`: passes each call on."""

    def __getattr__(self, name):
        return getattr(echo, name)

    def trap(self, message):
        # An exception is an answer of a function with a `result`. Of another one, it is a trap.
        raise RuntimeError(message)


class Tour:
    """The export `inhost:languages/tour`."""

    def run(self):
        return [(name, compare(sent, answer)) for name, sent, answer in calls()]

    def pings(self, calls):
        n = 0
        for _ in range(calls):
            n = echo.ping(n)
        return n

    def catch_error(self):
        try:
            return f"no error, but {echo.echo_result(Err(UNICODE))}"
        except Err as error:
            return error.value

    def catch_trap(self):
        try:
            return f"no error, but {echo.trap('on purpose')}"
        except Exception as error:
            return f"caught {error}"


def compare(sent, answer):
    # The text of a value tells its type, -0.0 from 0.0, and is equal for two that are not numbers.
    sent, answer = repr(sent), repr(answer)
    if sent == answer:
        return f"equal: {sent[:400]}"
    return f"DIFFERENT: sent {sent}, got {answer}"


def calls():
    """Each call: its name, what was sent, and what was answered."""

    def each(name, function, cases):
        for case, sent in cases.items():
            yield f"{name}: {case}", sent, function(sent)

    yield from each("ping", lambda n: echo.ping(n) - 1, {"zero": 0, "large": 2**31 - 2})
    yield from each(
        "echo-bytes",
        echo.echo_bytes,
        {"empty": b"", "every byte": bytes(range(256)), "large": bytes(100_000)},
    )
    yield from each(
        "echo-scalars",
        lambda sent: echo.echo_scalars(*sent),
        {
            "zero": (False, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, "\0"),
            "large": (True, 127, 255, 32767, 65535, 2**31 - 1, 2**31 - 1, 2**63 - 1, 2**64 - 1, 1.5, 1e300, "🦀"),
            "negative": (True, -128, 1, -32768, 1, -(2**31), 1, 1, 1, -0.0, -math.inf, "é"),
            "no number": (True, 0, 0, 0, 0, 0, 0, 0, 0, math.nan, math.nan, "x"),
        },
    )
    yield from each(
        "echo-string",
        echo.echo_string,
        {"empty": "", "unicode": UNICODE, "large": "é" * 100_000},
    )
    yield from each(
        "echo-strings",
        echo.echo_strings,
        {"empty": [], "several": ["a", "", UNICODE], "many": [str(n) for n in range(1_000)]},
    )
    yield from each("echo-record", echo.echo_record, {"small": SMALL, "large": LARGE})
    yield from each(
        "echo-variant",
        echo.echo_variant,
        {
            "nothing": Shape_Nothing(),
            "number": Shape_Radius(7),
            "string": Shape_Label(UNICODE),
            "record": Shape_Box(Size(-1.5, 0.25)),
            "list": Shape_Polygon([Point(-(2**31), 2**31 - 1), Point(0, -1)]),
        },
    )
    yield from each("echo-enum", echo.echo_enum, {status.name: status for status in Status})
    yield from each(
        "echo-flags",
        echo.echo_flags,
        {"none": Handling(0), "last": Handling.UPRIGHT, "both bytes": Handling.GIFT | Handling.COLD},
    )
    yield from each("echo-option", echo.echo_option, {"none": None, "some": UNICODE})
    yield from each(
        "echo-options",
        echo.echo_options,
        {"none": None, "some none": Some(None), "some some none": Some(Some(None)), "some": Some(Some("x"))},
    )
    # A function that answers a `result` answers the value, or raises an error: `catch_error`.
    yield from each("echo-result", lambda sent: Ok(echo.echo_result(sent)), {"ok": Ok(5)})
    yield from each(
        "echo-results",
        echo.echo_results,
        {
            "ok": Results(Ok(5), Ok(["a", ""]), Ok(None), Ok(None)),
            "error": Results(Err(UNICODE), Err(None), Err(Status.SENT), Err(None)),
        },
    )
    yield from each(
        "echo-nested",
        echo.echo_nested,
        {"empty": [], "orders": [[SMALL, None], [], [LARGE]]},
    )
    yield from each(
        "echo-tuple",
        echo.echo_tuple,
        {"zero": (0, "", 0.0, None, [], Status.OPEN), "large": (255, UNICODE, 1e300, "🦀", [65535, 0], Status.RETURNED)},
    )
    yield from each("echo-lists", echo.echo_lists, {"empty": EMPTY_LISTS, "edges": EDGES})
    many = Many(
        255, UNICODE, 2**63 - 1, True, 0.5, "é", bytes(range(256)), 65535, Status.SENT, -128, 2**64 - 1,
        -1e300, Handling.COLD, Point(-1, 1), -(2**31), "x" * 128, 65535, -32768,
    )
    yield "echo-many: large", many, echo.echo_many(*vars(many).values())
    yield "make-orders: 100", list(range(100)), [order.id for order in echo.make_orders(100)]


SMALL = Order(0, "", False, 0.0, 0, "\0", Address("", 0, Handling(0)), None, Status.OPEN, [])
LARGE = Order(
    2**64 - 1,
    UNICODE,
    True,
    -1e300,
    -32768,
    "🦀",
    Address("Straße", 65535, Handling.FRAGILE | Handling.UPRIGHT),
    "x" * 1_000,
    Status.RETURNED,
    list(range(1_000)),
)
EMPTY_LISTS = Lists([], b"", b"", [], [], [], [], [], [], [], [], [])
EDGES = Lists(
    bools=[True, False, True],
    s8s=bytes([0, 127]),
    u8s=bytes([0, 255]),
    s16s=[-32768, 32767],
    u16s=[0, 65535],
    s32s=[-(2**31), 2**31 - 1],
    u32s=[0, 2**31 - 1],
    s64s=[0, 2**63 - 1],
    u64s=[0, 2**64 - 1],
    f32s=[-0.0, 0.5, math.inf],
    f64s=[-0.0, 1e300, -math.inf],
    chars=["\0", "é", "🦀"],
)
