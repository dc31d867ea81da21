;; Makes as many calls as it is told, one after the other, and traps when an answer is not what it should be.
(component
  (import "inhost:costs/callee" (instance $callee
    (export "ping" (func (param "n" u32) (result u32)))
    (export "echo" (func (param "data" (list u8)) (result (list u8))))))
  (core module $libc
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 8192)))
  (core instance $libc (instantiate $libc))
  (core func $ping (canon lower (func $callee "ping")))
  (core func $echo (canon lower (func $callee "echo")
    (memory $libc "memory") (realloc (func $libc "realloc"))))
  (core module $m
    (import "libc" "memory" (memory 1))
    (import "callee" "ping" (func $ping (param i32) (result i32)))
    (import "callee" "echo" (func $echo (param i32 i32 i32)))
    (func (export "ping") (param $calls i32)
      (loop $next
        (if (i32.eqz (local.get $calls)) (then return))
        (if (i32.ne (call $ping (local.get $calls)) (local.get $calls)) (then unreachable))
        (local.set $calls (i32.sub (local.get $calls) (i32.const 1)))
        (br $next)))
    (func (export "echo") (param $calls i32) (param $bytes i32)
      (loop $next
        (if (i32.eqz (local.get $calls)) (then return))
        (call $echo (i32.const 1024) (local.get $bytes) (i32.const 16))
        (if (i32.ne (i32.load (i32.const 20)) (local.get $bytes)) (then unreachable))
        (local.set $calls (i32.sub (local.get $calls) (i32.const 1)))
        (br $next))))
  (core instance $i (instantiate $m
    (with "libc" (instance $libc))
    (with "callee" (instance (export "ping" (func $ping)) (export "echo" (func $echo))))))
  (func $run-ping (param "calls" u32) (canon lift (core func $i "ping")))
  (func $run-echo (param "calls" u32) (param "bytes" u32) (canon lift (core func $i "echo")))
  (instance $api (export "ping" (func $run-ping)) (export "echo" (func $run-echo)))
  (export "inhost:costs/caller" (instance $api)))
