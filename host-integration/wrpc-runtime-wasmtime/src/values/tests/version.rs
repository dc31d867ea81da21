/// `values` implements traits of wasmtime's that are hidden and may change with any release.
///
/// Before this is changed: read the differences of `component/func/{host,typed,options}.rs` and `component/func.rs`
/// between the versions, and what `values/abi.rs` says that wasmtime trusts. Then run the fuzz targets.
#[test]
fn wasmtime_is_the_version_that_the_unsafe_code_was_written_for() {
    let lock = include_str!("../../../../../Cargo.lock");
    let versions: Vec<_> = lock
        .split("[[package]]")
        .filter(|package| package.contains("\nname = \"wasmtime\"\n"))
        .filter_map(|package| package.lines().find(|line| line.starts_with("version")))
        .collect();
    assert_eq!(versions, [r#"version = "26.0.1""#]);
}
