//! Line plots as SVG, without a library: axes, lines, a legend.

use std::fmt::Write;

/// One line of a plot.
pub(crate) struct Line {
    pub(crate) name: String,
    /// x above zero (its axis is logarithmic), y as it is.
    pub(crate) points: Vec<(f64, f64)>,
}

/// One plot. The y axis is cut at `low` and `high`.
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) lines: Vec<Line>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 190.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// Okabe and Ito's palette: told apart by colour-blind readers too.
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

impl Plot<'_> {
    /// The SVG document.
    pub(crate) fn svg(&self) -> String {
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        text(&mut out, LEFT, 22.0, "start", self.title);
        text(&mut out, (LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 12.0, "middle", self.x);
        self.axes(&mut out);
        for (at, line) in self.lines.iter().enumerate() {
            self.line(&mut out, line, COLOURS[at % COLOURS.len()], at);
        }
        out.push_str("</svg>\n");
        out
    }

    fn axes(&self, out: &mut String) {
        let (from, to) = self.decades();
        for power in from..=to {
            let x = self.x_of(10f64.powi(power));
            rule(out, (x, TOP), (x, HEIGHT - BOTTOM), "#ddd");
            text(out, x, HEIGHT - BOTTOM + 16.0, "middle", &amount(10f64.powi(power)));
        }
        for step in 0..=4 {
            let value = self.low + (self.high - self.low) * f64::from(step) / 4.0;
            let y = self.y_of(value);
            rule(out, (LEFT, y), (WIDTH - RIGHT, y), "#ddd");
            text(out, LEFT - 6.0, y + 4.0, "end", &amount(value));
        }
        if self.low < 0.0 && self.high > 0.0 {
            let y = self.y_of(0.0);
            rule(out, (LEFT, y), (WIDTH - RIGHT, y), "#444");
        }
    }

    fn line(&self, out: &mut String, line: &Line, colour: &str, at: usize) {
        let points: Vec<String> =
            line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", self.x_of(*x), self.y_of(*y))).collect();
        let _ = writeln!(
            out,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            points.join(" ")
        );
        let y = TOP + 12.0 + 18.0 * at as f64;
        let x = WIDTH - RIGHT + 12.0;
        let _ =
            writeln!(out, "<path d=\"M{x} {y}h18\" stroke=\"{colour}\" stroke-width=\"2\" fill=\"none\"/>");
        text(out, x + 24.0, y + 4.0, "start", &line.name);
    }

    /// The powers of ten around all points.
    fn decades(&self) -> (i32, i32) {
        let all = || self.lines.iter().flat_map(|line| &line.points).map(|(x, _)| x.log10());
        let low = all().fold(f64::INFINITY, f64::min).floor();
        let high = all().fold(f64::NEG_INFINITY, f64::max).ceil();
        if low.is_finite() && high > low { (low as i32, high as i32) } else { (0, 1) }
    }

    fn x_of(&self, value: f64) -> f64 {
        let (from, to) = self.decades();
        let share = (value.log10() - f64::from(from)) / f64::from(to - from);
        LEFT + share * (WIDTH - RIGHT - LEFT)
    }

    fn y_of(&self, value: f64) -> f64 {
        let share = (value.clamp(self.low, self.high) - self.low) / (self.high - self.low);
        HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)
    }
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}

fn rule(out: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let _ = writeln!(
        out,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/>",
        from.0, from.1, to.0, to.1
    );
}

/// A number short enough for an axis.
fn amount(value: f64) -> String {
    match value.abs() {
        big if big >= 1e6 => format!("{:.0}M", value / 1e6),
        big if big >= 1e3 => format!("{:.0}k", value / 1e3),
        big if big >= 1.0 || big == 0.0 => format!("{value:.0}"),
        big if big >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.0e}"),
    }
}
