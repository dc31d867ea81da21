;; Exports `exists`, which asks `wasi:keyvalue` whether a bucket of the same name has the key.
(component
  (import "wasi:keyvalue/store@0.2.0-draft" (instance $store
    (type $cases (variant (case "no-such-store") (case "access-denied") (case "other" string)))
    (export "error" (type $error (eq $cases)))
    (export "bucket" (type $bucket (sub resource)))
    (export "open"
      (func (param "identifier" string) (result (result (own $bucket) (error $error)))))
    (export "[method]bucket.exists"
      (func (param "self" (borrow $bucket)) (param "key" string)
        (result (result bool (error $error)))))))

  (core module $memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 2048))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (core func $open (canon lower (func $store "open")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $exists (canon lower (func $store "[method]bucket.exists")
    (memory $memory "memory") (realloc (func $memory "realloc"))))

  (core module $main
    (import "memory" "memory" (memory 1))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (import "host" "exists" (func $exists (param i32 i32 i32 i32)))
    (func (export "exists") (param i32 i32) (result i32)
      (call $open (local.get 0) (local.get 1) (i32.const 1024))
      (if (i32.load8_u (i32.const 1024)) (then unreachable))
      (call $exists (i32.load (i32.const 1028)) (local.get 0) (local.get 1) (i32.const 1040))
      (if (i32.load8_u (i32.const 1040)) (then unreachable))
      (i32.load8_u (i32.const 1044))))
  (core instance $main (instantiate $main
    (with "memory" (instance $memory))
    (with "host" (instance (export "open" (func $open)) (export "exists" (func $exists))))))

  (func (export "exists") (param "key" string) (result bool)
    (canon lift (core func $main "exists")
      (memory $memory "memory") (realloc (func $memory "realloc")))))
