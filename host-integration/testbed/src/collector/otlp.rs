//! What exporters send, as the collector keeps it.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;

use super::{Attributes, Series, Span};

pub(super) fn spans(request: ExportTraceServiceRequest) -> impl Iterator<Item = Span> {
    let scopes = request.resource_spans.into_iter();
    let scopes = scopes.flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).map(|span| Span {
        name: span.name,
        trace: span.trace_id,
        id: span.span_id,
        parent: span.parent_span_id,
        attributes: attributes(span.attributes),
        events: span.events.into_iter().map(|event| event.name).collect(),
    })
}

pub(super) fn points(request: ExportMetricsServiceRequest) -> impl Iterator<Item = (Series, u64)> {
    let scopes = request.resource_metrics.into_iter();
    let scopes = scopes.flat_map(|resource| resource.scope_metrics);
    scopes.flat_map(|scope| scope.metrics).flat_map(|metric| {
        let points: Vec<_> = match metric.data {
            Some(Data::Sum(sum)) => {
                let points = sum.data_points.into_iter();
                points
                    .map(|point| (point.attributes, number(point.value)))
                    .collect()
            }
            Some(Data::Histogram(histogram)) => {
                let points = histogram.data_points.into_iter();
                points
                    .map(|point| (point.attributes, point.count))
                    .collect()
            }
            Some(Data::Gauge(gauge)) => {
                let points = gauge.data_points.into_iter();
                points
                    .map(|point| (point.attributes, number(point.value)))
                    .collect()
            }
            // The host has none of the other kinds.
            _ => Vec::new(),
        };
        let name = metric.name;
        points.into_iter().map(move |(pairs, value)| {
            let metric = name.clone();
            let attributes = attributes(pairs);
            (Series { metric, attributes }, value)
        })
    })
}

fn number(value: Option<number_data_point::Value>) -> u64 {
    match value {
        Some(number_data_point::Value::AsInt(n)) => n.try_into().unwrap_or_default(),
        Some(number_data_point::Value::AsDouble(n)) => n as u64,
        None => 0,
    }
}

fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    let text = |pair: KeyValue| {
        let value = match pair.value.and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            other => format!("{other:?}"),
        };
        (pair.key, value)
    };
    pairs.into_iter().map(text).collect()
}
