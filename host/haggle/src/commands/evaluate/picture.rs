//! A forecast as an SVG picture: the known values, the actual values, and the forecasts.

use std::fmt::Write as _;

use haggle_sandbox::forecasting::{Bounds, Outlook};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 36.0;
/// One colour per plugin, used cyclically.
const COLOURS: [&str; 12] = [
    "#0b62a4", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#117a8b", "#7f5539", "#d81b7a",
    "#5c6b00", "#3949ab", "#ff6f59", "#00a884",
];
/// Number of names in a line of the legend.
const NAMES: usize = 4;
/// Distance between two lines of the legend.
const LINE: f64 = 16.0;

/// The picture of one series.
pub(super) struct Picture<'a> {
    pub(super) title: &'a str,
    /// The last known values.
    pub(super) history: &'a [f64],
    pub(super) came: &'a [f64],
    /// The plugins' names and forecasts.
    pub(super) forecasts: &'a [(&'a str, &'a Outlook)],
}

/// Maps values to coordinates.
struct Frame {
    steps: f64,
    low: f64,
    high: f64,
}

impl Frame {
    fn x(&self, step: usize) -> f64 {
        MARGIN + (WIDTH - 2.0 * MARGIN) * step as f64 / (self.steps - 1.0).max(1.0)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.high - self.low).max(f64::MIN_POSITIVE);
        HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * share.clamp(-0.1, 1.1)
    }

    /// A line through the known values, the first of which is at step `from`.
    fn line(&self, from: usize, values: &[f64]) -> String {
        let mut path = String::new();
        let mut pen = 'M';
        for (step, value) in values.iter().enumerate() {
            if value.is_nan() {
                pen = 'M';
                continue;
            }
            // Writing to a String cannot fail.
            let _ = write!(path, "{pen}{:.1},{:.1} ", self.x(from + step), self.y(*value));
            pen = 'L';
        }
        path
    }

    fn band(&self, from: usize, bounds: &[Bounds]) -> String {
        let point =
            |step: usize, value: f64| format!("{:.1},{:.1}", self.x(from + step), self.y(value));
        let there = bounds.iter().enumerate().map(|(step, bounds)| point(step, bounds.upper));
        let back = bounds.iter().enumerate().rev().map(|(step, bounds)| point(step, bounds.lower));
        there.chain(back).collect::<Vec<_>>().join(" ")
    }
}

impl Picture<'_> {
    /// The SVG document.
    pub(super) fn svg(&self) -> String {
        let drawn = self.forecasts.iter().flat_map(|(_, outlook)| {
            let inner = outlook.intervals.first().into_iter();
            let bounds = inner.flat_map(|inner| &inner.bounds);
            let bounds = bounds.flat_map(|bounds| [&bounds.lower, &bounds.upper]);
            outlook.mean.iter().chain(bounds)
        });
        let known = self.history.iter().chain(self.came).chain(drawn).filter(|v| v.is_finite());
        let (low, high) =
            known.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
        let (low, high) = if low < high { (low, high) } else { (low.min(0.0), low.max(0.0) + 1.0) };
        let steps = (self.history.len() + self.came.len()) as f64;
        let frame = Frame { steps, low, high };
        let from = self.history.len();
        let lines = self.forecasts.len().div_ceil(NAMES).max(1);
        let height = HEIGHT + LINE * (lines - 1) as f64;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"{MARGIN}\" y=\"20\" font-weight=\"bold\">{}</text>\n",
            escaped(self.title)
        );
        for value in [low, f64::midpoint(low, high), high] {
            let y = frame.y(value);
            let _ = writeln!(
                svg,
                "<path d=\"M{MARGIN},{y:.1} H{:.1}\" stroke=\"#ddd\"/><text x=\"2\" y=\"{:.1}\" fill=\"#777\" font-size=\"10\">{value:.3}</text>",
                WIDTH - MARGIN,
                y - 2.0
            );
        }
        for (place, (name, outlook)) in self.forecasts.iter().enumerate() {
            let colour = COLOURS.get(place % COLOURS.len()).copied().unwrap_or("black");
            for (interval, opacity) in outlook.intervals.iter().rev().zip([0.1, 0.18]) {
                let band = frame.band(from, &interval.bounds);
                let _ = writeln!(
                    svg,
                    "<polygon points=\"{band}\" fill=\"{colour}\" opacity=\"{opacity}\"/>"
                );
            }
            let line = frame.line(from, &outlook.mean);
            let _ = writeln!(
                svg,
                "<path d=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
            );
            let x = MARGIN + (WIDTH - 2.0 * MARGIN) * (place % NAMES) as f64 / NAMES as f64;
            let y = HEIGHT - 10.0 + LINE * (place / NAMES) as f64;
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{y}\" fill=\"{colour}\">{}</text>",
                escaped(name)
            );
        }
        let (history, came) = (frame.line(0, self.history), frame.line(from, self.came));
        let _ = writeln!(svg, "<path d=\"{history}\" fill=\"none\" stroke=\"#555\"/>");
        let _ = writeln!(
            svg,
            "<path d=\"{came}\" fill=\"none\" stroke=\"black\" stroke-dasharray=\"4 2\"/>\n</svg>"
        );
        svg
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use haggle_sandbox::forecasting::{Bounds, Interval, Outlook};

    use super::Picture;

    #[test]
    fn many_policies_have_a_colour_and_a_place_each() {
        let outlook = Outlook { mean: vec![2.0], intervals: vec![], confidence: 1.0 };
        let names: Vec<String> = (0..10).map(|n| format!("policy-{n}")).collect();
        let forecasts: Vec<(&str, &Outlook)> =
            names.iter().map(|name| (name.as_str(), &outlook)).collect();
        let svg =
            Picture { title: "t", history: &[1.0], came: &[2.0], forecasts: &forecasts }.svg();
        let cut = |text: &str, from: &str| -> String {
            let (_, rest) = text.split_once(from).unwrap();
            rest.split_once('"').unwrap().0.to_owned()
        };
        let height: f64 = cut(&svg, "viewBox=\"0 0 960 ").parse().unwrap();
        let of = |name: &String| {
            let line = svg.lines().find(|line| line.contains(&format!(">{name}<"))).unwrap();
            let number = |what: &str| cut(line, what).parse::<f64>().unwrap();
            let (x, y) = (number("x=\""), number("y=\""));
            assert!(x < 960.0 - 180.0 && y < height, "{line}");
            (cut(line, "fill=\""), format!("{x} {y}"))
        };
        let (colours, places): (BTreeSet<String>, BTreeSet<String>) = names.iter().map(of).unzip();
        assert_eq!((colours.len(), places.len()), (10, 10));
    }

    #[test]
    fn every_place_is_a_number_and_every_name_is_text() {
        let bounds = [(1.0, 4.0), (0.0, 5.0)].map(|(lower, upper)| Bounds { lower, upper });
        let interval = |level| Interval { level, bounds: bounds.into() };
        let outlook = Outlook {
            mean: vec![2.0, 3.0],
            intervals: vec![interval(0.8), interval(0.95)],
            confidence: 1.0,
        };
        for history in [&[1.0, f64::NAN, 3.0][..], &[], &[f64::NAN], &[7.0, 7.0]] {
            let picture = Picture {
                title: "a<b>&c",
                history,
                came: &[2.5, f64::NAN],
                forecasts: &[("mine", &outlook)],
            };
            let svg = picture.svg();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
            assert!(svg.contains("a&lt;b&gt;&amp;c") && svg.contains(">mine<"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
