;; Exports `get`, which logs the key that it was given and answers what the configuration has under it.
(component
  (import "wasi:config/store@0.2.0-draft" (instance $config
    (type $cases (variant (case "upstream" string) (case "io" string)))
    (export "error" (type $error (eq $cases)))
    (export "get" (func (param "key" string) (result (result (option string) (error $error)))))))
  (import "wasi:logging/logging@0.1.0-draft" (instance $logging
    (type $cases (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $level (eq $cases)))
    (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))

  (core module $memory
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 2048))
    ;; Gives out memory and takes none back: an instance lives for one call.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (core func $get (canon lower (func $config "get")
    (memory $memory "memory") (realloc (func $memory "realloc"))))
  (core func $log (canon lower (func $logging "log") (memory $memory "memory")))

  (core module $main
    (import "host" "get" (func $get (param i32 i32 i32)))
    (import "host" "log" (func $log (param i32 i32 i32 i32 i32)))
    (func (export "get") (param i32 i32) (result i32)
      ;; At the level info, without a context.
      (call $log (i32.const 2) (i32.const 0) (i32.const 0) (local.get 0) (local.get 1))
      ;; The answer has the same type as that of the import, so it can stay where it is.
      (call $get (local.get 0) (local.get 1) (i32.const 1024))
      (i32.const 1024)))
  (core instance $main (instantiate $main
    (with "host" (instance (export "get" (func $get)) (export "log" (func $log))))))

  (alias export $config "error" (type $error))
  (export $named "error" (type $error))
  (func (export "get") (param "key" string) (result (result (option string) (error $named)))
    (canon lift (core func $main "get")
      (memory $memory "memory") (realloc (func $memory "realloc")))))
