use wasmtime::component::types::ComponentItem;
use wasmtime::component::Component;
use wasmtime::Engine;

use super::*;

/// A function with these parameters, in a component with these definitions.
fn function(definitions: &str, parameters: &str) -> ComponentFunc {
    let component = format!(r#"(component {definitions} (import "f" (func {parameters})))"#);
    let engine = Engine::default();
    let component = wat::parse_str(component).expect("valid text");
    let component = Component::new(&engine, component).expect("a component");
    let Some(ComponentItem::ComponentFunc(ty)) =
        component.component_type().get_import(&engine, "f")
    else {
        panic!("it imports a function");
    };
    ty
}

fn of(ty: &ComponentFunc, budget: &Budget) -> Arc<Signature> {
    Function::of(ty, |_| false, budget)
        .expect("types within reason")
        .signature
}

fn text(definitions: &str, parameters: &str) -> String {
    of(&function(definitions, parameters), &Budget::default()).to_string()
}

#[test]
fn each_type_of_a_component_has_one_of_the_codec() {
    let definitions = r#"(import "r" (type $r (sub resource)))
        (type $record' (record (field "a" u8) (field "b" string)))
        (import "record" (type $record (eq $record')))
        (type $variant' (variant (case "a") (case "b" u8)))
        (import "variant" (type $variant (eq $variant')))
        (type $enum' (enum "a" "b" "c"))
        (import "enum" (type $enum (eq $enum')))
        (type $flags' (flags "a" "b"))
        (import "flags" (type $flags (eq $flags')))"#;
    for (ty, expected) in [
        ("bool", "bool"),
        ("s8", "s8"),
        ("u8", "u8"),
        ("s16", "s16"),
        ("u16", "u16"),
        ("s32", "s32"),
        ("u32", "u32"),
        ("s64", "s64"),
        ("u64", "u64"),
        ("f32", "f32"),
        ("f64", "f64"),
        ("char", "char"),
        ("string", "string"),
        ("(own $r)", "resource"),
        ("(borrow $r)", "resource"),
        ("$record", "(u8, string)"),
        ("(tuple u8 u16)", "(u8, u16)"),
        ("(list $enum)", "list<enum<3>>"),
        ("(option $flags)", "option<flags<2>>"),
        ("(result)", "result<_, _>"),
        (
            "(result u8 (error $variant))",
            "result<u8, variant<_ | u8>>",
        ),
    ] {
        let text = text(definitions, &format!(r#"(param "a" {ty})"#));
        assert_eq!(text, format!("func({expected}) -> ()"));
    }
    let both = r#"(param "a" u8) (param "b" u16) (result string)"#;
    assert_eq!(text("", both), "func(u8, u16) -> (string)");
}

#[test]
fn equal_types_of_different_components_are_one() {
    let of = |parameters: &str| of(&function("", parameters), &Budget::default());
    let [one, other] = ["a", "b"].map(|name| of(&format!(r#"(param "{name}" (tuple u8 string))"#)));
    assert!(Arc::ptr_eq(&one, &other));
    assert!(!Arc::ptr_eq(&one, &of(r#"(param "a" (tuple u8 u8))"#)));
}

#[test]
fn a_stream_is_told_from_a_handle_and_resources_are_numbered() {
    let definitions = r#"(import "r" (type $r (sub resource)))
        (import "s" (type $s (sub resource)))"#;
    let parameters = r#"(param "a" (own $s)) (param "b" (borrow $s)) (param "c" (list (own $r)))"#;
    let ty = function(definitions, parameters);
    let mut resources = Vec::new();
    for ty in ty.params() {
        match ty {
            Type::Own(ty) | Type::Borrow(ty) => resources.push(ty),
            Type::List(list) => resources.extend(match list.ty() {
                Type::Own(ty) => Some(ty),
                other => panic!("{other:?}"),
            }),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(resources[0], resources[1]);
    let function = Function::of(&ty, |ty| ty == resources[0], &Budget::default());
    let function = function.expect("types within reason");
    let text = function.signature.to_string();
    assert_eq!(text, "func(input-stream, resource, list<resource>) -> ()");
    // Owned in one place and borrowed in another, the same resource has two numbers.
    assert_eq!(*function.params, *resources);
}

/// A function whose parameter is an enum in tuples of tuples, each of which has the next one twice.
fn doubled(cases: usize, depth: usize) -> ComponentFunc {
    let names: String = (0..cases).map(|case| format!(r#" "c{case}""#)).collect();
    let mut definitions = format!(r#"(type $e (enum{names})) (import "e" (type $t0 (eq $e)))"#);
    for depth in 0..depth {
        definitions += &format!("(type $t{} (tuple $t{depth} $t{depth}))", depth + 1);
    }
    function(&definitions, &format!(r#"(param "p" $t{depth})"#))
}

#[test]
fn a_type_is_looked_into_once_however_often_it_is_referred_to() {
    let budget = Budget::default();
    // No deeper: wasmtime follows each reference when it compiles a component, and takes twice as long for each step.
    let signature = of(&doubled(99, 14), &budget);
    assert_eq!(signature.params.flat_count(), 1 << 14);
    // For each tuple itself and two references, and for the enum each time that it is referred to.
    assert!(budget.spent() < 100, "{}", budget.spent());
}

#[test]
fn both_descriptions_of_a_type_have_one_plan() {
    // What the other one makes of these is compared where values are lifted, in each test that calls an import.
    let budget = Budget::default();
    let [one, other] = [(), ()].map(|()| of(&doubled(3, 9), &budget));
    assert!(Arc::ptr_eq(&one.params, &other.params));
}

#[test]
fn more_types_than_a_component_may_have_are_refused() {
    let [ty, other] = [doubled(2, 9), doubled(2, 10)];
    let budget = Budget::default();
    of(&ty, &budget);
    let budget = Budget::new(budget.spent());
    let walk = |ty: &ComponentFunc| Function::of(ty, |_| false, &budget);
    walk(&ty).expect("there is as much as it needs");
    assert_eq!(walk(&function("", "")).map(drop), Ok(()));
    assert_eq!(walk(&function("", r#"(param "a" u8)"#)).map(drop), Ok(()));
    assert_eq!(walk(&other).map(drop), Err(TooLarge::Component));
}

/// So that the imports of each component that wasmtime takes can be called.
#[test]
fn a_place_counts_twice_at_most() {
    // Each with how many places it has beside those of the one that is in it.
    let shapes = [
        ("(tuple $t)", 1),
        ("(tuple u8 $t string)", 3),
        ("(list $t)", 1),
        ("(option $t)", 1),
        ("(result $t (error u8))", 2),
        ("(tuple (own $r) (borrow $r) $t)", 3),
    ];
    const DEPTH: usize = 50;
    for (shape, places) in shapes {
        let mut definitions =
            r#"(import "r" (type $r (sub resource))) (type $t0 (list u8))"#.to_owned();
        for at in 0..DEPTH {
            let shape = shape.replace("$t", &format!("$t{at}"));
            definitions += &format!("(type $t{} {shape})", at + 1);
        }
        let places = 2 + DEPTH * places;
        let budget = Budget::default();
        of(
            &function(&definitions, &format!(r#"(param "p" $t{DEPTH})"#)),
            &budget,
        );
        let spent = budget.spent();
        assert!(spent <= 2 * places, "{shape}: {spent} of {places}");
    }
}

#[test]
fn types_that_many_functions_have_are_looked_into_once() {
    let ty = doubled(2, 9);
    let budget = Budget::of_component();
    let first = of(&ty, &budget);
    let spent = budget.spent();
    assert!(spent > 9, "{spent}");
    let again = of(&ty, &budget);
    assert!(Arc::ptr_eq(&first, &again));
    assert_eq!(budget.spent(), spent);
}

#[test]
fn types_that_only_look_alike_are_not_taken_for_each_other() {
    let component = |text: &str| -> Vec<ComponentFunc> {
        let engine = Engine::default();
        let component = Component::new(&engine, wat::parse_str(text).expect("valid text"));
        let ty = component.expect("a component").component_type();
        let imports = ty.imports(&engine).filter_map(|(_, item)| match item {
            ComponentItem::ComponentFunc(ty) => Some(ty),
            _ => None,
        });
        imports.collect()
    };
    // Flags and enums are of one component, and one kind, and differ.
    let functions = component(
        r#"(component
            (type $f (flags "a" "b")) (import "f" (type $f1 (eq $f)))
            (type $g (flags "a" "b" "c" "d" "e" "f" "g" "h" "i")) (import "g" (type $g1 (eq $g)))
            (type $e (enum "a")) (import "e" (type $e1 (eq $e)))
            (type $h (enum "a" "b")) (import "h" (type $h1 (eq $h)))
            (import "of-f" (func (param "p" $f1)))
            (import "of-g" (func (param "p" $g1)))
            (import "of-e" (func (param "p" $e1)))
            (import "of-h" (func (param "p" $h1))))"#,
    );
    let (once, each) = (Budget::of_component(), Budget::default());
    assert_eq!(functions.len(), 4);
    for ty in &functions {
        assert!(
            Arc::ptr_eq(&of(ty, &once), &of(ty, &each)),
            "{}",
            of(ty, &each)
        );
    }
}
