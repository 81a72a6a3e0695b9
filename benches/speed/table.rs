//! Medians, ratios, and the table.

/// The figures of one row; the unit is the row's.
pub(crate) struct Row {
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) peer: Option<f64>,
    /// What it is compared with, and the figure.
    pub(crate) floor: Option<(&'static str, f64)>,
    /// What we promise, in words.
    pub(crate) target: &'static str,
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The table being written.
pub(crate) struct Table(String);

impl Table {
    pub(crate) fn new() -> Table {
        Table(
            "| what | coracle | podman | floor | coracle : podman | coracle : floor | target |\n\
             |---|---|---|---|---|---|---|\n"
                .to_owned(),
        )
    }

    pub(crate) fn add(&mut self, name: &str, row: Row) {
        let show = |value: f64| {
            if value >= 100.0 {
                format!("{value:.0} {}", row.unit)
            } else {
                format!("{value:.1} {}", row.unit)
            }
        };
        let ratio = |other: f64| {
            let part = row.ours / other;
            if part < 0.5 { format!("1/{:.1}", 1.0 / part) } else { format!("{part:.2}") }
        };
        let line = format!(
            "| {name} | {} | {} | {} | {} | {} | {} |\n",
            show(row.ours),
            row.peer.map_or(String::new(), show),
            row.floor.map_or(String::new(), |(what, value)| format!("{} ({what})", show(value))),
            row.peer.map_or(String::new(), ratio),
            row.floor.map_or(String::new(), |(_, value)| ratio(value)),
            row.target
        );
        eprint!("{line}");
        self.0.push_str(&line);
    }

    pub(crate) fn finish(self, machine: &str) -> String {
        format!("{machine}\n\n{}", self.0)
    }
}
