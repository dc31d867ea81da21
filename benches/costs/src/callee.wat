;; Sends back what it gets. What it allocates is at one place, as it is used by one call at a time.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "ping") (param i32) (result i32) (local.get 0))
    (func (export "echo") (param i32 i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 1))
      (i32.const 0))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024)))
  (core instance $i (instantiate $m))
  (func $ping (param "n" u32) (result u32) (canon lift (core func $i "ping")))
  (func $echo (param "data" (list u8)) (result (list u8))
    (canon lift (core func $i "echo") (memory $i "memory") (realloc (func $i "realloc"))))
  (instance $api (export "ping" (func $ping)) (export "echo" (func $echo)))
  (export "inhost:costs/callee" (instance $api)))
