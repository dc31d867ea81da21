//! Names of functions, on the wire and for people.

/// What wasmtime puts before the name of a resource's function, and wRPC does not.
///
/// [`types::ComponentFunc`](wasmtime::component::types::ComponentFunc) does not say which kind of function it is,
/// so the name is all there is to go by.
const KINDS: [&str; 3] = ["[constructor]", "[static]", "[method]"];

/// The name under which a function of a component is invoked and served.
pub(crate) fn rpc_func_name(name: &str) -> &str {
    KINDS
        .iter()
        .find_map(|kind| name.strip_prefix(kind))
        .unwrap_or(name)
}

/// How a function is named for people.
pub(crate) fn full_name(instance: &str, name: &str) -> String {
    match instance {
        "" => name.to_owned(),
        instance => format!("{instance}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::rpc_func_name;

    #[test]
    fn the_kind_of_a_resource_function_is_not_part_of_its_name() {
        assert_eq!(rpc_func_name("[constructor]bucket"), "bucket");
        assert_eq!(rpc_func_name("[static]bucket.open"), "bucket.open");
        assert_eq!(rpc_func_name("[method]bucket.get"), "bucket.get");
    }

    #[test]
    fn any_other_name_stays_as_it_is() {
        assert_eq!(rpc_func_name("get"), "get");
        assert_eq!(
            rpc_func_name("[resource-drop]bucket"),
            "[resource-drop]bucket"
        );
        assert_eq!(
            rpc_func_name("[method][static]bucket.get"),
            "[static]bucket.get"
        );
    }
}
