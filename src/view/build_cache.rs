//! Records of the build cache, as docker's `buildx du` has them.

use crate::engine::build_cache::Record;
use crate::text::{time, units};
use chrono::SecondsFormat;
use serde_json::{Value, json};

/// A record, in the form of `buildx du --format json`.
pub fn row(record: &Record) -> Value {
    let time = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    json!({
        "CreatedAt": time(record.created),
        "Description": record.description,
        "ID": record.id,
        "InUse": record.in_use,
        "LastUsedAt": time(record.last_used),
        "Mutable": record.mutable,
        "Parents": record.parents,
        "Reclaimable": !record.in_use,
        "Shared": record.shared,
        "Size": units::size(record.size),
        "Type": record.kind.as_str(),
    })
}

/// A record's line in the table: id, whether it can be removed, size, and when it was used. A star marks what builds
/// change, and what is shared.
pub fn cells(record: &Record) -> [String; 4] {
    let star = |text: String, marked: bool| if marked { text + "*" } else { text };
    [
        star(record.id.clone(), record.mutable),
        (!record.in_use).to_string(),
        star(units::size(record.size), record.shared),
        time::ago(record.last_used),
    ]
}

/// A record in full: names and values.
pub fn details(record: &Record) -> Vec<(&'static str, String)> {
    let mut all = vec![("ID", record.id.clone())];
    if !record.parents.is_empty() {
        all.push(("Parent", record.parents.join(",")));
    }
    all.push(("Created at", time::go_utc_exact(record.created)));
    all.push(("Mutable", record.mutable.to_string()));
    all.push(("Reclaimable", (!record.in_use).to_string()));
    all.push(("Shared", record.shared.to_string()));
    all.push(("Size", units::size(record.size)));
    if !record.description.is_empty() {
        all.push(("Description", record.description.clone()));
    }
    all.push(("Last used", time::ago(record.last_used)));
    all.push(("Type", record.kind.as_str().to_owned()));
    all
}

/// The totals below a table: names and sizes.
pub fn totals(records: &[Record]) -> Vec<(&'static str, String)> {
    let sum = |wanted: fn(&Record) -> bool| -> u64 {
        records.iter().filter(|record| wanted(record)).map(|record| record.size).sum()
    };
    let (total, shared) = (sum(|_| true), sum(|record| record.shared));
    let mut all = Vec::new();
    if shared > 0 {
        all.push(("Shared", shared));
        all.push(("Private", total - shared));
    }
    all.push(("Reclaimable", sum(|record| !record.in_use)));
    all.push(("Total", total));
    all.into_iter().map(|(name, bytes)| (name, units::size(bytes))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::build::StepKind;
    use chrono::{TimeDelta, Utc};

    fn record(size: u64, shared: bool, in_use: bool) -> Record {
        Record {
            id: "abc".into(),
            kind: StepKind::Regular,
            description: "[1/2] RUN make".into(),
            parents: vec!["p".into(), "q".into()],
            created: Utc::now(),
            last_used: Utc::now() - TimeDelta::hours(3),
            size,
            in_use,
            shared,
            mutable: true,
        }
    }

    #[test]
    fn tables_are_dockers() {
        assert_eq!(cells(&record(8224, true, false)), ["abc*", "true", "8.22kB*", "3 hours ago"]);
        assert_eq!(row(&record(5, false, true))["Reclaimable"], false);
        let shown = details(&record(5, false, false));
        assert_eq!(shown[1], ("Parent", "p,q".to_owned()));
        assert_eq!(shown.last(), Some(&("Type", "regular".to_owned())));
        let sums = totals(&[record(1000, true, true), record(2000, false, false)]);
        let wanted = [("Shared", "1kB"), ("Private", "2kB"), ("Reclaimable", "2kB"), ("Total", "3kB")];
        assert_eq!(sums, wanted.map(|(name, size)| (name, size.to_owned())));
        assert_eq!(totals(&[]).len(), 2);
    }
}
