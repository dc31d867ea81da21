;; Stands where a provider of `wasi:keyvalue` would: it exports what a host calls there. Keys of an odd length exist.
(component
  (type $error (variant (case "no-such-store") (case "access-denied") (case "other" string)))
  (core module $main
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 2048))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at))
    (func (export "exists") (param i32 i32 i32 i32) (result i32)
      (i32.store8 (i32.const 1028) (i32.and (local.get 3) (i32.const 1)))
      (i32.const 1024)))
  (core instance $main (instantiate $main))
  (func $exists (param "bucket" string) (param "key" string) (result (result bool (error $error)))
    (canon lift (core func $main "exists")
      (memory $main "memory") (realloc (func $main "realloc"))))

  ;; An instance with a type in it comes out of a component.
  (component $interface
    (type $cases (variant (case "no-such-store") (case "access-denied") (case "other" string)))
    (import "imported-error" (type $error (eq $cases)))
    (import "imported-exists" (func $exists
      (param "bucket" string) (param "key" string) (result (result bool (error $error)))))
    (export $named "error" (type $error))
    (export "exists" (func $exists) (func
      (param "bucket" string) (param "key" string) (result (result bool (error $named))))))
  (instance $store (instantiate $interface
    (with "imported-error" (type $error))
    (with "imported-exists" (func $exists))))
  (export "wrpc:keyvalue/store@0.2.0-draft" (instance $store)))
