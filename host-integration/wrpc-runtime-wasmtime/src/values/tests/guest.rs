//! A component that passes on what it gets: it exports a function and imports one of the same signature.

use std::fmt::Write as _;

use inhost_codec::Type;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::Resolve;

pub(super) const INSTANCE: &str = "test:types/echo";
pub(super) const FUNCTION: &str = "echo";

/// The component for a function that takes `types` and returns all of them.
pub(super) fn pass_on(types: &[Type], encoding: StringEncoding) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve
        .push_str("echo.wit", &wit(types))
        .expect("the generated WIT is valid");
    let world = resolve
        .select_world(package, Some("guest"))
        .expect("there is one world");
    let (_, interface) = resolve
        .interfaces
        .iter()
        .find(|(_, interface)| interface.name.as_deref() == Some("echo"))
        .expect("there is one interface");
    let function = &interface.functions[FUNCTION];
    let import = resolve.wasm_signature(AbiVariant::GuestImport, function);
    let export = resolve.wasm_signature(AbiVariant::GuestExport, function);
    let core = |types: &[WasmType]| -> String {
        let names = types.iter().map(|ty| match ty {
            WasmType::I64 | WasmType::PointerOrI64 => "i64 ",
            WasmType::F32 => "f32 ",
            WasmType::F64 => "f64 ",
            _ => "i32 ",
        });
        names.collect()
    };
    let arguments: String = (0..export.params.len())
        .map(|i| format!("local.get {i} "))
        .collect();
    let body = match import.retptr {
        // The import writes its results to memory, and the export returns a pointer to them.
        true => format!(
            "{arguments} (global.set $area (call $realloc (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 65536)))
             global.get $area call $echo global.get $area"
        ),
        false => format!("{arguments} call $echo"),
    };
    let post_return = match export.results.as_slice() {
        [result] => format!(
            "(func (export \"cabi_post_{INSTANCE}#{FUNCTION}\") (param {}) (global.set $free (i32.const 4096)))",
            core(&[*result])
        ),
        _ => String::new(),
    };
    let module = format!(
        r#"(module
          (import "{INSTANCE}" "{FUNCTION}" (func $echo (param {}) (result {})))
          (memory (export "memory") 2)
          (global $free (mut i32) (i32.const 4096))
          (global $area (mut i32) (i32.const 0))
          (func $realloc (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
            (local $new i32)
            (local.set $new (i32.and
              (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
              (i32.sub (i32.const 0) (local.get $align))))
            (global.set $free (i32.add (local.get $new) (local.get $size)))
            ;; A page at a time: memory grows in the middle of what is lowered.
            (block $enough (loop $more
              (br_if $enough (i32.le_u (global.get $free) (i32.mul (memory.size) (i32.const 65536))))
              (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
              (br $more)))
            (memory.copy (local.get $new) (local.get $old)
              (select (local.get $old_size) (local.get $size) (i32.lt_u (local.get $old_size) (local.get $size))))
            (local.get $new))
          (func (export "{INSTANCE}#{FUNCTION}") (param {}) (result {}) {body})
          {post_return})"#,
        core(&import.params),
        core(&import.results),
        core(&export.params),
        core(&export.results),
    );
    let mut module = wat::parse_str(&module).expect("the generated module is valid");
    wit_component::embed_component_metadata(&mut module, &resolve, world, encoding)
        .expect("the module belongs to its world");
    ComponentEncoder::default()
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .expect("the module makes a component")
}

fn wit(types: &[Type]) -> String {
    let mut named = String::new();
    let params: Vec<_> = types.iter().map(|ty| expression(ty, &mut named)).collect();
    let list: String = params
        .iter()
        .enumerate()
        .map(|(i, ty)| format!("p{i}: {ty}, "))
        .collect();
    let result = match params.as_slice() {
        [] => String::new(),
        [one] => format!("-> {one}"),
        all => format!("-> tuple<{}>", all.join(", ")),
    };
    let has_handles = list.contains("thing") || named.contains("thing");
    let of_peer = if has_handles { "use peer.{thing};" } else { "" };
    format!(
        "package test:types;
         interface peer {{ resource thing; }}
         interface echo {{ {of_peer} {named} {FUNCTION}: func({list}) {result}; }}
         world guest {{ import echo; export echo; }}"
    )
}

/// How a type is written in WIT. Types that need a name get one, and are added to `named`.
fn expression(ty: &Type, named: &mut String) -> String {
    let optional = |ty: &Option<Box<Type>>, named: &mut String| match ty {
        Some(ty) => expression(ty, named),
        None => "_".to_owned(),
    };
    match ty {
        Type::List(element) => format!("list<{}>", expression(element, named)),
        Type::Option(payload) => format!("option<{}>", expression(payload, named)),
        Type::Tuple(types) => {
            let types: Vec<_> = types.iter().map(|ty| expression(ty, named)).collect();
            format!("tuple<{}>", types.join(", "))
        }
        Type::Result(None, None) => "result".to_owned(),
        Type::Result(ok, None) => format!("result<{}>", optional(ok, named)),
        Type::Result(ok, err) => {
            let (ok, err) = (optional(ok, named), optional(err, named));
            format!("result<{ok}, {err}>")
        }
        Type::Variant(cases) => {
            let cases: String = cases
                .iter()
                .enumerate()
                .map(|(i, case)| match case {
                    Some(ty) => format!("c{i}({}), ", expression(ty, named)),
                    None => format!("c{i}, "),
                })
                .collect();
            name("variant", &cases, named)
        }
        Type::Flags(count) => {
            let flags: String = (0..*count).map(|i| format!("f{i}, ")).collect();
            name("flags", &flags, named)
        }
        // One of the peer.
        Type::Handle(_) => "thing".to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    }
}

fn name(kind: &str, members: &str, named: &mut String) -> String {
    let name = format!("t{}", named.matches(';').count());
    // Semicolons count the types: one for each.
    let _ = writeln!(named, "{kind} {name} {{ {members} }} //;");
    name
}
