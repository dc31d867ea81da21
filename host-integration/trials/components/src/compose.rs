//! Composing components ahead of time: what calls another is linked to it inside one component.

use std::path::PathBuf;

use anyhow::Context as _;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};

/// The interface by which each component calls the next.
const ECHO: &str = "inhost:demo/echo@0.1.0";

/// Composes the components in `files`, of which each calls `echo` of the next.
///
/// The result exports what the first exports. What is imported and not linked stays an import.
///
/// # Errors
///
/// When a file is not a component, or when one does not fit the next.
pub(crate) fn compose(files: &[PathBuf]) -> anyhow::Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let mut instances = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let name = format!("inhost:part{number}");
        let package = Package::from_file(&name, None, file, graph.types_mut())?;
        let package = graph.register_package(package)?;
        instances.push((package, graph.instantiate(package)));
    }
    for (pair, file) in instances.windows(2).zip(&files[1..]) {
        let [(_, caller), (_, callee)] = *pair else {
            unreachable!("a window of two has two");
        };
        let what = || format!("{} does not fit the one that calls it", file.display());
        let echo = graph
            .alias_instance_export(callee, ECHO)
            .with_context(what)?;
        graph
            .set_instantiation_argument(caller, ECHO, echo)
            .with_context(what)?;
    }
    let &(package, instance) = instances.first().context("there is nothing to compose")?;
    let world = graph[package].ty();
    let exports: Vec<_> = graph.types()[world].exports.keys().cloned().collect();
    for name in exports {
        let export = graph.alias_instance_export(instance, &name)?;
        graph.export(export, name)?;
    }
    let options = EncodeOptions {
        define_components: true,
        validate: true,
        processor: None,
    };
    graph
        .encode(options)
        .context("the composition is not valid")
}
