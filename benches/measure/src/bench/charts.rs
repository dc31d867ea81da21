//! The charts, as SVG.

use anyhow::{anyhow, Context as _};
use plotters::coord::combinators::IntoLogRange as _;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

use inhost_testbed::Route;

use super::results::Results;
use super::shares::{shares, Shares};
use crate::report::units::{duration, rate, size, thousands};

/// How large a chart is, in pixels.
const WIDTH: u32 = 880;
const HEIGHT: u32 = 500;

/// How much room there is on the right of a chart with lines.
const RIGHT: u32 = 130;

/// The font of all text. Which one a reader has is not known.
const FONT: &str = "sans-serif";

/// Colours that are told apart by the colour-blind too, one for each route.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 0, 0),
    RGBColor(230, 159, 0),
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(204, 121, 167),
    RGBColor(0, 158, 115),
    RGBColor(213, 94, 0),
    RGBColor(150, 150, 150),
];

/// A line in a chart.
struct Line {
    route: Route,
    points: Vec<(f64, f64)>,
}

/// Median duration of an echo by its payload, on logarithmic axes. `None` when no route has two payloads.
///
/// # Errors
///
/// When it cannot be drawn.
pub(crate) fn latency(results: &Results) -> anyhow::Result<Option<String>> {
    let lines = lines(results, |row| {
        let bytes = row.bytes.filter(|&bytes| bytes > 0 && row.callers == 1)?;
        Some((f64::from(bytes), row.p50_us))
    });
    draw(
        "Median duration of an echo, 1 caller",
        ("payload in each direction", |bytes| {
            size(bytes.round() as u32)
        }),
        ("duration", duration),
        &lines,
    )
}

/// Calls a second of `ping` by callers. `None` when no route was measured with two numbers of callers.
///
/// # Errors
///
/// When it cannot be drawn.
pub(crate) fn throughput(results: &Results) -> anyhow::Result<Option<String>> {
    let lines = lines(results, |row| {
        (row.workload == "ping").then(|| (f64::from(row.callers), row.calls_per_s))
    });
    draw(
        "Calls of ping a second",
        ("callers at once", |callers| {
            thousands(callers.round() as u64)
        }),
        ("calls a second", rate),
        &lines,
    )
}

fn lines(
    results: &Results,
    point: impl Fn(&super::samples::Row) -> Option<(f64, f64)> + Copy,
) -> Vec<Line> {
    let lines = Route::ALL.into_iter().map(|route| Line {
        route,
        points: results.points(route, point),
    });
    lines.filter(|line| line.points.len() > 1).collect()
}

/// The name of an axis, and how its values are written.
type Axis = (&'static str, fn(f64) -> String);

/// Lines on logarithmic axes, of which that of the work has labels at powers of two.
fn draw(
    title: &str,
    (x_name, x_text): Axis,
    (y_name, y_text): Axis,
    lines: &[Line],
) -> anyhow::Result<Option<String>> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (Some(x), Some(y)) = (
        range(points().map(|point| point.0)),
        range(points().map(|point| point.1)),
    ) else {
        return Ok(None);
    };
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let x = (x.0..x.1).log_scale().base(2.0);
        let y = (y.0 / 1.5..y.1 * 1.5).log_scale();
        let mut chart = ChartBuilder::on(&root)
            .caption(title, (FONT, 20))
            .margin(16)
            .margin_right(RIGHT)
            .x_label_area_size(48)
            .y_label_area_size(84)
            .build_cartesian_2d(x, y)
            .map_err(failed)?;
        style_mesh(&mut chart, (x_name, x_text), (y_name, y_text))?;
        for line in lines {
            let colour = colour(line.route);
            let series = LineSeries::new(line.points.iter().copied(), colour.stroke_width(2));
            chart.draw_series(series).map_err(failed)?;
            let dots = line.points.iter();
            let dots = dots.map(|&point| Circle::new(point, 3, colour.filled()));
            chart.draw_series(dots).map_err(failed)?;
        }
        routes(&root, lines)?;
        root.present().map_err(failed)?;
    }
    Ok(Some(svg))
}

/// Says which line is which, to the right of the chart.
fn routes(root: &Root<'_>, lines: &[Line]) -> anyhow::Result<()> {
    let x = (WIDTH - RIGHT) as i32 + 16;
    let mut y = 60;
    for line in lines {
        let style = colour(line.route).stroke_width(2);
        let stroke = PathElement::new([(x, y), (x + 20, y)], style);
        root.draw(&stroke).map_err(failed)?;
        let name = Text::new(line.route.to_string(), (x + 28, y - 7), (FONT, 14));
        root.draw(&name).map_err(failed)?;
        y += 22;
    }
    Ok(())
}

fn style_mesh<X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, Y>>,
    (x_name, x_text): Axis,
    (y_name, y_text): Axis,
) -> anyhow::Result<()>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc(x_name)
        .y_desc(y_name)
        .x_label_formatter(&|x| x_text(*x))
        .y_label_formatter(&|y| y_text(*y))
        .label_style((FONT, 13))
        .axis_desc_style((FONT, 14))
        .draw()
        .map_err(failed)
}

/// The least and the greatest; `None` when they are one, or none.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    (low < high && low > 0.0).then_some((low, high))
}

fn colour(route: Route) -> RGBColor {
    let number = Route::ALL.iter().position(|other| *other == route);
    COLOURS[number.unwrap_or(0)]
}

/// The share of each part in the time of one call: of a call in memory, and of one on a stock host.
/// `None` when there is none.
///
/// # Errors
///
/// When it cannot be drawn.
pub(crate) fn time_of_a_call(results: &Results) -> anyhow::Result<Option<String>> {
    let shares = shares(results);
    if shares.is_empty() {
        return Ok(None);
    }
    let bars = i32::try_from(shares.len()).context("too many bars")?;
    let height = TOP + 2 * (bars * BAR + PANEL) + 40;
    let mut svg = String::new();
    {
        let size = (WIDTH, u32::try_from(height)?);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let mut y = TOP;
        for (title, parts) in [
            ("A call in memory", Shares::LOCAL),
            ("A call on a stock host", Shares::NAMES.len()),
        ] {
            let title = Text::new(title, (16, y), (FONT, 18));
            root.draw(&title).map_err(failed)?;
            y += PANEL - 14;
            for shares in &shares {
                bar(&root, shares, parts, y)?;
                y += BAR;
            }
            y += 14;
        }
        legend(&root, y + 8)?;
        root.present().map_err(failed)?;
    }
    Ok(Some(svg))
}

/// Where the first title is, how high a bar with its gap is, and how much room a panel has for its title.
const TOP: i32 = 14;
const BAR: i32 = 26;
const PANEL: i32 = 44;

/// Where bars begin and how long they are.
const LEFT: i32 = 130;
const LENGTH: f64 = 600.0;

type Root<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// The first `count` parts of a call, side by side, and the whole as a number.
fn bar(root: &Root<'_>, shares: &Shares, count: usize, y: i32) -> anyhow::Result<()> {
    let parts = &shares.parts()[..count];
    let whole: f64 = parts.iter().sum();
    let label = Text::new(shares.title.clone(), (16, y + 3), (FONT, 14));
    root.draw(&label).map_err(failed)?;
    let mut x = 0.0;
    for (part, colour) in parts.iter().zip(PARTS) {
        let end = x + part / whole.max(1e-9) * LENGTH;
        let corners = [(LEFT + x as i32, y), (LEFT + end as i32, y + BAR - 8)];
        let rectangle = Rectangle::new(corners, colour.filled());
        root.draw(&rectangle).map_err(failed)?;
        x = end;
    }
    let at = (LEFT + LENGTH as i32 + 12, y + 3);
    let whole = Text::new(duration(whole), at, (FONT, 14));
    root.draw(&whole).map_err(failed)
}

/// The colours of the parts of a call.
const PARTS: [RGBColor; 5] = [COLOURS[5], COLOURS[3], COLOURS[2], COLOURS[1], COLOURS[7]];

fn legend(root: &Root<'_>, y: i32) -> anyhow::Result<()> {
    let mut x = 16;
    for (name, colour) in Shares::NAMES.into_iter().zip(PARTS) {
        let square = Rectangle::new([(x, y), (x + 14, y + 14)], colour.filled());
        root.draw(&square).map_err(failed)?;
        let text = Text::new(name, (x + 20, y + 1), (FONT, 13));
        root.draw(&text).map_err(failed)?;
        x += 44 + 8 * name.len() as i32;
    }
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw a chart: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::tests::results;

    #[test]
    fn the_parts_of_a_call_add_up_to_its_time() {
        let chart = time_of_a_call(&results()).unwrap().unwrap();
        for text in ["ping", "18.0 µs", "400 µs", "store and instance", "broker"] {
            assert!(chart.contains(text), "{text}");
        }
    }

    #[test]
    fn a_line_takes_positive_values_that_differ() {
        assert_eq!(range([2.0, 8.0, 4.0].into_iter()), Some((2.0, 8.0)));
        assert_eq!(range([2.0].into_iter()), None);
        assert_eq!(range([0.0, 1.0].into_iter()), None);
        assert_eq!(range(std::iter::empty()), None);
    }
}
