// A component in JavaScript that calls another one, and is called.

import * as callee from "inhost:demo/echo@0.1.0";

const UNICODE = "Grüße, 世界 🦀";

// The export `inhost:demo/echo`: passes each call on.
export const echo = {
  ...callee,
  trap(message) {
    // What is thrown is an answer of a function with a `result`. Of another one, it is a trap.
    throw new Error(message);
  },
};

// The export `inhost:languages/tour`.
export const tour = {
  run() {
    return calls().map(([name, sent, answer]) => [name, compare(sent, answer)]);
  },

  pings(calls) {
    let n = 0;
    for (let call = 0; call < calls; call++) n = callee.ping(n);
    return n;
  },

  catchError() {
    try {
      return `no error, but ${callee.echoResult({ tag: "err", val: UNICODE })}`;
    } catch (error) {
      return error.payload;
    }
  },

  catchTrap() {
    try {
      return `no error, but ${callee.trap("on purpose")}`;
    } catch (error) {
      return `caught ${error}`;
    }
  },
};

// The text of a value. A list of numbers may be an array of any kind.
function text(value) {
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  if (typeof value === "string") return JSON.stringify(value);
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return `[${Array.from(value, text).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  // A field that is not there, and one that is undefined, are one thing.
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return `{${fields.map(([name, field]) => `${name}: ${text(field)}`).sort().join(", ")}}`;
}

function compare(sent, answer) {
  [sent, answer] = [text(sent), text(answer)];
  return sent === answer ? `equal: ${sent.slice(0, 400)}` : `DIFFERENT: sent ${sent}, got ${answer}`;
}

// Each call: its name, what was sent, and what was answered.
function calls() {
  const made = [];
  const each = (name, call, cases) => {
    for (const [kind, sent] of Object.entries(cases)) made.push([`${name}: ${kind}`, sent, call(sent)]);
  };
  const all = (call) => (sent) => call(...sent);

  each("ping", (n) => callee.ping(n) - 1, { zero: 0, large: 2 ** 31 - 2 });
  each("echo-bytes", callee.echoBytes, {
    empty: new Uint8Array(),
    "every byte": Uint8Array.from({ length: 256 }, (_, n) => n),
    large: new Uint8Array(100_000),
  });
  each("echo-scalars", all(callee.echoScalars), {
    zero: [false, 0, 0, 0, 0, 0, 0, 0n, 0n, 0, 0, "\0"],
    large: [true, 127, 255, 32767, 65535, 2 ** 31 - 1, 2 ** 31 - 1, 2n ** 63n - 1n, 2n ** 64n - 1n, 1.5, 1e300, "🦀"],
    negative: [true, -128, 1, -32768, 1, -(2 ** 31), 1, 1n, 1n, -0, -Infinity, "é"],
    "no number": [true, 0, 0, 0, 0, 0, 0, 0n, 0n, NaN, NaN, "x"],
  });
  each("echo-string", callee.echoString, { empty: "", unicode: UNICODE, large: "é".repeat(100_000) });
  each("echo-strings", callee.echoStrings, {
    empty: [],
    several: ["a", "", UNICODE],
    many: Array.from({ length: 1_000 }, (_, n) => `${n}`),
  });
  each("echo-record", callee.echoRecord, { small: SMALL, large: LARGE });
  each("echo-variant", callee.echoVariant, {
    nothing: { tag: "nothing" },
    number: { tag: "radius", val: 7 },
    string: { tag: "label", val: UNICODE },
    record: { tag: "box", val: { width: -1.5, height: 0.25 } },
    list: { tag: "polygon", val: [{ x: -(2 ** 31), y: 2 ** 31 - 1 }, { x: 0, y: -1 }] },
  });
  for (const status of ["open", "packed", "sent", "delivered", "returned"]) {
    each("echo-enum", callee.echoEnum, { [status]: status });
  }
  each("echo-flags", callee.echoFlags, {
    none: handling(),
    last: handling("upright"),
    "both bytes": handling("gift", "cold"),
  });
  each("echo-option", callee.echoOption, { none: undefined, some: UNICODE });
  // An option is its value, or undefined. One whose value may be undefined has a tag instead: here, that is the one within.
  each("echo-options", callee.echoOptions, {
    none: undefined,
    "some none": { tag: "none" },
    "some some none": { tag: "some", val: undefined },
    some: { tag: "some", val: "x" },
  });
  // A function that answers a `result` answers the value, or throws an error: `catchError`.
  each("echo-result", (sent) => ({ tag: "ok", val: callee.echoResult(sent) }), { ok: { tag: "ok", val: 5 } });
  each("echo-results", callee.echoResults, {
    ok: { both: { tag: "ok", val: 5 }, onlyOk: { tag: "ok", val: ["a", ""] }, onlyErr: { tag: "ok" }, neither: { tag: "ok" } },
    error: {
      both: { tag: "err", val: UNICODE },
      onlyOk: { tag: "err" },
      onlyErr: { tag: "err", val: "sent" },
      neither: { tag: "err" },
    },
  });
  each("echo-nested", callee.echoNested, { empty: [], orders: [[SMALL, undefined], [], [LARGE]] });
  each("echo-tuple", callee.echoTuple, {
    zero: [0, "", 0, undefined, [], "open"],
    large: [255, UNICODE, 1e300, "🦀", [65535, 0], "returned"],
  });
  each("echo-lists", callee.echoLists, { empty: EMPTY_LISTS, edges: EDGES });
  each("echo-many", (sent) => callee.echoMany(...Object.values(sent)), { large: MANY });
  made.push(["make-orders: 100", LARGE.items.slice(0, 100), Array.from(callee.makeOrders(100), ({ id }) => Number(id))]);
  return made;
}

function handling(...set) {
  const all = ["fragile", "perishable", "heavy", "oversized", "insured", "signature", "express", "gift", "cold", "upright"];
  return Object.fromEntries(all.map((flag) => [flag, set.includes(flag)]));
}

const SMALL = {
  id: 0n,
  customer: "",
  paid: false,
  total: 0,
  discount: 0,
  grade: "\0",
  shipTo: { street: "", number: 0, handling: handling() },
  note: undefined,
  status: "open",
  items: [],
};

const LARGE = {
  id: 2n ** 64n - 1n,
  customer: UNICODE,
  paid: true,
  total: -1e300,
  discount: -32768,
  grade: "🦀",
  shipTo: { street: "Straße", number: 65535, handling: handling("fragile", "upright") },
  note: "x".repeat(1_000),
  status: "returned",
  items: Array.from({ length: 1_000 }, (_, n) => n),
};

const EMPTY_LISTS = {
  bools: [], s8s: [], u8s: [], s16s: [], u16s: [], s32s: [], u32s: [], s64s: [], u64s: [], f32s: [], f64s: [], chars: [],
};

const EDGES = {
  bools: [true, false, true],
  s8s: [-128, 127],
  u8s: [0, 255],
  s16s: [-32768, 32767],
  u16s: [0, 65535],
  s32s: [-(2 ** 31), 2 ** 31 - 1],
  u32s: [0, 2 ** 32 - 1],
  s64s: [-(2n ** 63n), 2n ** 63n - 1n],
  u64s: [0n, 2n ** 64n - 1n],
  f32s: [-0, 0.5, Infinity],
  f64s: [-0, 1e300, -Infinity],
  chars: ["\0", "é", "🦀"],
};

const MANY = {
  a: 255, b: UNICODE, c: 2n ** 63n - 1n, d: true, e: 0.5, f: "é", g: Uint8Array.of(0, 127, 255), h: 65535, i: "sent",
  j: -128, k: 2n ** 64n - 1n, l: -1e300, m: handling("cold"), n: { x: -1, y: 1 }, o: -(2 ** 31), p: "x".repeat(128),
  q: 65535, r: -32768,
};
