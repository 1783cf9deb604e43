//! Draws charts as SVG: a page without scripts shows them anywhere, and prints them sharp.

use deepaug_controller::LevelValue;
use maud::{Markup, html};

use crate::read::inspect::Level;

const WIDTH: f64 = 720.0;
/// Approximate width of a label's letter at the style sheet's font size.
const LETTER: f64 = 8.0;

/// The style sheet's classes for several lines or areas side by side; no chart draws more.
pub(super) const SERIES: [&str; 5] = ["op-1", "op-2", "op-3", "op-4", "op-5"];

/// Maps values from `low` to `high` to a line from `from` to `to`.
#[derive(Debug, Clone, Copy)]
struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// Makes a scale that contains all values, with a little room, and is never empty.
    fn around(values: impl IntoIterator<Item = f64>, from: f64, to: f64) -> Self {
        let finite = values.into_iter().filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let room = if high > low { 0.05 * (high - low) } else { 0.5 * high.abs().max(0.01) };
        Self { low: low - room, high: high + room, from, to }
    }

    fn at(self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Returns about `count` round values within the scale.
    fn ticks(self, count: usize) -> Vec<f64> {
        let rough = (self.high - self.low) / count.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].into_iter().map(|part| part * power).find(|&step| step >= rough).unwrap_or(rough);
        let first = (self.low / step).ceil() as i64;
        (first..).map(|i| i as f64 * step).take_while(|&tick| tick <= self.high).take(50).collect()
    }
}

/// Formats a tick's label with no more digits than its step needs.
fn label(tick: f64, ticks: &[f64], unit: &str) -> String {
    let step = ticks.get(1).map_or(1.0, |second| second - ticks[0]);
    let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{:.digits$}{unit}", if tick == 0.0 { 0.0 } else { tick })
}

/// A row of [`intervals`].
pub(super) struct Row {
    pub(super) name: String,
    pub(super) note: String,
    pub(super) value: f64,
    pub(super) interval: Option<(f64, f64)>,
    /// Whether the page is about it.
    pub(super) is_subject: bool,
}

/// Draws values with their intervals, one below the other, and a line at 0 if `zero` names what it stands for.
pub(super) fn intervals(rows: &[Row], unit: &str, zero: Option<&str>) -> Markup {
    const STEP: f64 = 30.0;
    let left = 14.0 + LETTER * rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0) as f64;
    let right = 14.0 + LETTER * rows.iter().map(|row| row.note.chars().count()).max().unwrap_or(0) as f64;
    let (top, bottom) = (if zero.is_some() { 22.0 } else { 6.0 }, 26.0);
    let ends = |row: &Row| row.interval.map_or([row.value; 3], |(low, high)| [row.value, low, high]);
    let values = rows.iter().flat_map(ends).chain(zero.map(|_| 0.0));
    let x = Scale::around(values, left, WIDTH - right);
    let height = top + STEP * rows.len() as f64 + bottom;
    let (ticks, base) = (x.ticks(6), height - bottom);
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height:.0}")) role="img" {
            @for &tick in &ticks {
                line.grid x1=(px(x.at(tick))) x2=(px(x.at(tick))) y1=(px(top)) y2=(px(base)) {}
                text.tick x=(px(x.at(tick))) y=(px(base + 17.0)) text-anchor="middle" { (label(tick, &ticks, unit)) }
            }
            @if let Some(zero) = zero {
                line.zero x1=(px(x.at(0.0))) x2=(px(x.at(0.0))) y1=(px(top)) y2=(px(base)) {}
                text.tick x=(px(x.at(0.0))) y="14" text-anchor="middle" { (zero) }
            }
            @for (i, row) in rows.iter().enumerate() {
                @let y = top + STEP * (i as f64 + 0.5);
                g class=(if row.is_subject { "subject" } else { "other" }) {
                    text.name x=(px(left - 10.0)) y=(px(y + 5.0)) text-anchor="end" { (row.name) }
                    @if let Some((low, high)) = row.interval {
                        line.reach x1=(px(x.at(low))) x2=(px(x.at(high))) y1=(px(y)) y2=(px(y)) {}
                        line.reach x1=(px(x.at(low))) x2=(px(x.at(low))) y1=(px(y - 5.0)) y2=(px(y + 5.0)) {}
                        line.reach x1=(px(x.at(high))) x2=(px(x.at(high))) y1=(px(y - 5.0)) y2=(px(y + 5.0)) {}
                    }
                    circle cx=(px(x.at(row.value))) cy=(px(y)) r="5.5" {}
                    text.note x=(px(WIDTH - right + 12.0)) y=(px(y + 5.0)) { (row.note) }
                }
            }
        }
    }
}

/// A line of [`lines`].
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    /// Its class in the style sheet.
    pub(super) class: &'static str,
    pub(super) points: Vec<(f64, f64)>,
    /// Low and high values around each point.
    pub(super) band: Vec<(f64, f64)>,
    /// Whether to draw only the points.
    pub(super) is_dots: bool,
    /// Whether it stays level until the next point.
    pub(super) is_steps: bool,
}

impl<'a> Line<'a> {
    pub(super) fn new(name: &'a str, class: &'static str, points: Vec<(f64, f64)>) -> Self {
        Self { name, class, points, band: Vec::new(), is_dots: false, is_steps: false }
    }
}

/// Draws the axes of a chart over whole numbers, such as trials or epochs, with what they show.
fn frame(x: Scale, y: Scale, across: &str, up: &str) -> Markup {
    let (left, base, middle) = (x.from, y.from, 0.5 * (y.from + y.to));
    let ticks = y.ticks(5);
    html! {
        @for &tick in &ticks {
            line.grid x1=(px(left)) x2=(px(x.to)) y1=(px(y.at(tick))) y2=(px(y.at(tick))) {}
            text.tick x=(px(left - 8.0)) y=(px(y.at(tick) + 4.0)) text-anchor="end" { (label(tick, &ticks, "")) }
        }
        @if !across.is_empty() { (below(x, base, across)) }
        text.tick x="14" y=(px(middle)) text-anchor="middle" transform=(format!("rotate(-90 14 {middle:.1})")) { (up) }
    }
}

/// Draws the whole numbers below a chart that ends at `base`, and what they count.
fn below(x: Scale, base: f64, across: &str) -> Markup {
    html! {
        @for &tick in x.ticks(8).iter().filter(|tick| tick.fract() == 0.0) {
            text.tick x=(px(x.at(tick))) y=(px(base + 18.0)) text-anchor="middle" { (label(tick, &[0.0, 1.0], "")) }
        }
        text.tick x=(px(0.5 * (x.from + WIDTH))) y=(px(base + 38.0)) text-anchor="middle" { (across) }
    }
}

/// Draws lines over a common axis, with their names above.
pub(super) fn lines(lines: &[Line<'_>], across: &str, up: &str) -> Markup {
    const HEIGHT: f64 = 280.0;
    let (left, top, bottom) = (68.0, 34.0, 44.0);
    let x = Scale::around(lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)), left, WIDTH - 12.0);
    let heights = lines.iter().flat_map(|line| {
        line.points.iter().map(|point| point.1).chain(line.band.iter().flat_map(|&(low, high)| [low, high]))
    });
    let y = Scale::around(heights, HEIGHT - bottom, top);
    let mut places = vec![left];
    for line in lines {
        places.push(places[places.len() - 1] + 44.0 + LETTER * line.name.chars().count() as f64);
    }
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" {
            (frame(x, y, across, up))
            @for (line, &place) in lines.iter().zip(&places) {
                g class=(line.class) {
                    @if !line.band.is_empty() { path.band d=(band(line, x, y)) {} }
                    @if line.is_dots {
                        @for &(a, b) in &line.points { circle cx=(px(x.at(a))) cy=(px(y.at(b))) r="3.2" {} }
                    } @else {
                        path.line d=(path(line, x, y)) {}
                    }
                    rect x=(px(place)) y="8" width="16" height="4" {}
                    text.key x=(px(place + 22.0)) y="14" { (line.name) }
                }
            }
        }
    }
}

fn path(line: &Line, x: Scale, y: Scale) -> String {
    let mut path = String::new();
    for (i, &(a, b)) in line.points.iter().enumerate() {
        if i > 0 && line.is_steps {
            path.push_str(&format!("H{:.1}", x.at(a)));
        }
        path.push_str(&format!("{}{:.1} {:.1}", if i == 0 { 'M' } else { 'L' }, x.at(a), y.at(b)));
    }
    path
}

fn band(line: &Line, x: Scale, y: Scale) -> String {
    let edge = |end: fn(&(f64, f64)) -> f64| {
        line.points
            .iter()
            .zip(&line.band)
            .map(move |(point, band)| format!("{:.1} {:.1}", x.at(point.0), y.at(end(band))))
    };
    let there: Vec<String> = edge(|band| band.0).collect();
    let back: Vec<String> = edge(|band| band.1).collect();
    format!("M{}L{}Z", there.join("L"), back.into_iter().rev().collect::<Vec<_>>().join("L"))
}

/// An area of [`areas`].
pub(super) struct Area {
    pub(super) name: String,
    /// Its class in the style sheet.
    pub(super) class: &'static str,
    /// Its height in each epoch.
    pub(super) heights: Vec<f64>,
}

/// Draws areas stacked on one another, one step an epoch, with their names above.
pub(super) fn areas(areas: &[Area], across: &str, up: &str) -> Markup {
    /// Between lines of names.
    const LINE: f64 = 20.0;
    let (left, bottom) = (68.0, 44.0);
    let mut places: Vec<(f64, f64)> = Vec::new();
    let mut next = (left, 8.0);
    for area in areas {
        let width = 34.0 + LETTER * area.name.chars().count() as f64;
        if next.0 + width > WIDTH && next.0 > left {
            next = (left, next.1 + LINE);
        }
        places.push(next);
        next.0 += width;
    }
    let (top, height) = (next.1 + 26.0, next.1 + 272.0);
    let epochs = areas.first().map_or(0, |area| area.heights.len());
    let total = |epoch: usize| areas.iter().map(|area| area.heights[epoch]).sum::<f64>();
    let highest = (0..epochs).map(total).fold(0.0, f64::max);
    let x = Scale { low: 0.0, high: epochs.max(1) as f64, from: left, to: WIDTH - 12.0 };
    let y = Scale { low: 0.0, high: 1.05 * highest.max(1e-9), from: height - bottom, to: top };
    let mut below = vec![0.0; epochs];
    let mut paths = Vec::new();
    for area in areas {
        let above: Vec<f64> = below.iter().zip(&area.heights).map(|(below, height)| below + height).collect();
        let edge =
            |heights: &[f64], epoch: usize, end: usize| format!("{:.1} {:.1}", x.at(end as f64), y.at(heights[epoch]));
        let there = (0..epochs).flat_map(|epoch| [epoch, epoch + 1].map(|end| edge(&above, epoch, end)));
        let back = (0..epochs).rev().flat_map(|epoch| [epoch + 1, epoch].map(|end| edge(&below, epoch, end)));
        paths.push(format!("M{}Z", there.chain(back).collect::<Vec<_>>().join("L")));
        below = above;
    }
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height}")) role="img" {
            (frame(x, y, across, up))
            @for ((area, path), &(place, line)) in areas.iter().zip(&paths).zip(&places) {
                g class=(area.class) {
                    path.area d=(path) {}
                    rect x=(px(place)) y=(px(line)) width="16" height="8" {}
                    text.key x=(px(place + 22.0)) y=(px(line + 8.0)) { (area.name) }
                }
            }
        }
    }
}

/// Draws points with names; a name that another would cover is left out.
pub(super) fn scatter(points: &[(f64, f64, String)], across: &str, up: &str) -> Markup {
    const HEIGHT: f64 = 340.0;
    let (left, top, bottom) = (68.0, 14.0, 44.0);
    let x = Scale::around(points.iter().map(|point| point.0).chain([0.0]), left, WIDTH - 12.0);
    let y = Scale::around(points.iter().map(|point| point.1).chain([0.0]), HEIGHT - bottom, top);
    // The most remarkable first.
    let mut order: Vec<&(f64, f64, String)> = points.iter().collect();
    order.sort_by(|a, b| (b.0.abs() + b.1.abs()).total_cmp(&(a.0.abs() + a.1.abs())));
    let mut named: Vec<(f64, f64, f64, &str)> = Vec::new();
    for (a, b, name) in order {
        let width = 0.8 * LETTER * name.chars().count() as f64;
        let (from, at) = ((x.at(*a) + 7.0).min(WIDTH - width - 4.0), y.at(*b) + 4.0);
        let covers = |&(other, height, reach, _): &(f64, f64, f64, &str)| {
            (height - at).abs() < 13.0 && from < other + reach && other < from + width
        };
        if !named.iter().any(covers) {
            named.push((from, at, width, name));
        }
    }
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" {
            (frame(x, y, "", up))
            @for &tick in &x.ticks(8) {
                text.tick x=(px(x.at(tick))) y=(px(HEIGHT - bottom + 18.0)) text-anchor="middle" { (label(tick, &x.ticks(8), "")) }
            }
            text.tick x=(px(0.5 * (left + WIDTH))) y=(px(HEIGHT - 6.0)) text-anchor="middle" { (across) }
            line.zero x1=(px(x.at(0.0))) x2=(px(x.at(0.0))) y1=(px(top)) y2=(px(HEIGHT - bottom)) {}
            g.dots { @for (a, b, name) in points { circle cx=(px(x.at(*a))) cy=(px(y.at(*b))) r="3.2" { title { (name) } } } }
            @for (from, at, _, name) in &named { text.small x=(px(*from)) y=(px(*at)) { (name) } }
        }
    }
}

/// Who descended from whom in a population.
pub(super) struct Descent {
    pub(super) members: usize,
    pub(super) epochs: usize,
    /// (member, epoch, score).
    pub(super) scores: Vec<(usize, usize, f64)>,
    /// (epochs done, donor, member).
    pub(super) takeovers: Vec<(usize, usize, usize)>,
    /// The line of the best: (member, from, until).
    pub(super) line: Vec<(usize, usize, usize)>,
}

/// Draws a line for each member, darker where its score is higher, with an arc for each net that was taken over.
pub(super) fn descent(descent: &Descent) -> Markup {
    let (left, top, bottom, step) = (68.0, 10.0, 44.0, (320.0 / descent.members.max(1) as f64).clamp(6.0, 26.0));
    let height = top + step * descent.members as f64 + bottom;
    let x = Scale { low: 0.0, high: descent.epochs.max(1) as f64, from: left, to: WIDTH - 12.0 };
    let y = |member: usize| top + step * (member as f64 + 0.5);
    let ends = descent.scores.iter().map(|score| score.2);
    let (low, high) = ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    // Between two blues, by lightness.
    let shade = |score: f64| {
        let share = if high > low { (score - low) / (high - low) } else { 0.5 };
        format!("stroke: hsl(211 75% {:.0}%)", 88.0 - 62.0 * share)
    };
    let arc = |&(epoch, donor, member): &(usize, usize, usize)| {
        let (at, from, to) = (x.at(epoch as f64), y(donor), y(member));
        let bend = (x.at(1.0) - x.at(0.0)).min(12.0);
        format!("M{at:.1} {from:.1}C{:.1} {from:.1} {:.1} {to:.1} {at:.1} {to:.1}", at + bend, at - bend)
    };
    let of_line = |(epoch, donor, member): &(usize, usize, usize)| {
        let ends = descent.line.iter().zip(descent.line.iter().skip(1));
        ends.into_iter().any(|(a, b)| (a.0, b.0, b.1) == (*donor, *member, *epoch))
    };
    html! {
        svg viewBox=(format!("0 0 {WIDTH} {height:.0}")) role="img" {
            @for &(member, from, until) in &descent.line {
                line.descent-best x1=(px(x.at(from as f64))) x2=(px(x.at(until as f64))) y1=(px(y(member))) y2=(px(y(member))) {}
            }
            @for taken in descent.takeovers.iter().filter(|taken| of_line(taken)) { path.descent-best d=(arc(taken)) {} }
            @for taken in &descent.takeovers { path.descent-arc d=(arc(taken)) {} }
            @for &(member, epoch, score) in &descent.scores {
                line.descent style=(shade(score)) x1=(px(x.at(epoch as f64 - 1.0))) x2=(px(x.at(epoch as f64)))
                    y1=(px(y(member))) y2=(px(y(member))) {}
            }
            @if step >= 12.0 {
                @for member in 0..descent.members {
                    text.tick x=(px(left - 8.0)) y=(px(y(member) + 4.0)) text-anchor="end" { "child " (member) }
                }
            }
            (below(x, height - bottom, "epoch"))
        }
    }
}

/// Draws rewards by magnitude for one op, with the curve that the surrogate has learnt: a small picture among
/// many, all on one scale from `low` to `high`.
pub(super) fn magnitudes(uses: &[(f64, f64)], learnt: &[Level], low: f64, high: f64, base: Option<f64>) -> Markup {
    let mut curve = Line::new("", "best", Vec::new());
    for level in learnt {
        if let LevelValue::Number(magnitude) = level.value {
            curve.points.push((magnitude, level.reward));
            curve.band.push((level.reward - level.deviation, level.reward + level.deviation));
        }
    }
    let x = Scale { low: 0.0, high: 1.0, from: 8.0, to: 152.0 };
    let y = Scale::around([low, high], 82.0, 6.0);
    html! {
        svg viewBox="0 0 160 100" role="img" {
            line.axis x1="8" x2="152" y1="86" y2="86" {}
            @if let Some(base) = base {
                line.zero x1="8" x2="152" y1=(px(y.at(base))) y2=(px(y.at(base))) {}
            }
            @if !curve.points.is_empty() {
                g.best {
                    path.band d=(band(&curve, x, y)) {}
                    path.line d=(path(&curve, x, y)) {}
                }
            }
            text.small x="8" y="97" { "0" }
            text.small x="152" y="97" text-anchor="end" { "1" }
            g.subject {
                @for &(magnitude, reward) in uses { circle cx=(px(x.at(magnitude))) cy=(px(y.at(reward))) r="3" {} }
            }
        }
    }
}

/// Formats a coordinate with one decimal.
fn px(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within() {
        for (low, high, expected) in
            [(0.0, 1.0, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]), (-3.2, 7.9, vec![-2.0, 0.0, 2.0, 4.0, 6.0])]
        {
            let ticks = Scale { low, high, from: 0.0, to: 1.0 }.ticks(6);
            assert!(ticks.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12) && ticks.len() == expected.len());
        }
        assert_eq!(label(0.2, &[0.0, 0.2], ""), "0.2");
        assert_eq!(label(-0.0, &[-0.5, 0.0], " %"), "0.0 %");
        assert_eq!(label(40.0, &[20.0, 40.0], ""), "40");
    }

    #[test]
    fn nothing_and_equal_values_still_have_a_scale() {
        for values in [vec![], vec![f64::NAN], vec![0.5, 0.5], vec![0.0]] {
            let scale = Scale::around(values, 0.0, 100.0);
            assert!(scale.low < scale.high && !scale.ticks(5).is_empty());
        }
    }

    #[test]
    fn names_are_escaped_and_places_are_numbers() {
        let row = |name: &str, value| Row {
            name: name.into(),
            note: "n".into(),
            value,
            interval: Some((value - 1.0, value + 1.0)),
            is_subject: false,
        };
        let text = intervals(&[row("<b>", 1.0), row("c", -2.0)], " %", Some("none")).into_string();
        assert!(text.contains("&lt;b&gt;") && !text.contains("NaN") && !text.contains("inf"), "{text}");
        let text = lines(&[Line::new("a", "best", vec![(0.0, 1.0)])], "x", "y").into_string();
        assert!(text.contains("class=\"best\"") && !text.contains("NaN"), "{text}");
    }
}
