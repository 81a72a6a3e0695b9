//! `--chmod`: modes in octal and symbolic notation (chmod(1)).
//!
//! As in BuildKit, symbolic modes are those of BSD with a file mode creation mask of 0: `+x` is for all, `u=` takes the
//! set-user-id bit away. `X` looks at the mode that the file had before, with every operator.

use crate::error::{Error, Kind};
use std::str::FromStr;

/// Every bit that can be set.
const ALL: u32 = 0o7777;
/// What `a` is about, and an operator without anybody: all but the sticky bit.
const EVERYBODY: u32 = 0o6777;
const STICKY: u32 = 0o1000;

/// What becomes of the mode of each file and directory that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModeChange {
    /// The mode, at most 0o7777.
    Octal(u32),
    /// Steps that are done one after the other.
    Symbolic(Vec<ModeStep>),
}

/// One operator of a symbolic mode and what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeStep {
    operator: Operator,
    /// The bits it is about.
    who: u32,
    permissions: Permissions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Add,
    Remove,
    Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permissions {
    /// These bits, and the right to execute if `search` and it is a directory or somebody has that right.
    Bits { bits: u32, search: bool },
    /// Those that user, group or others have: how far up they are in the mode.
    Copied(u32),
}

impl ModeChange {
    /// The mode of something that had this mode.
    pub fn apply(&self, before: u32, is_directory: bool) -> u32 {
        match self {
            ModeChange::Octal(mode) => *mode,
            ModeChange::Symbolic(steps) => {
                steps.iter().fold(before & ALL, |mode, step| step.apply(mode, before, is_directory))
            }
        }
    }
}

impl ModeStep {
    fn apply(self, mode: u32, before: u32, is_directory: bool) -> u32 {
        let (bits, about) = match self.permissions {
            Permissions::Bits { bits, search } => {
                let execute = if search && (is_directory || before & 0o111 != 0) { 0o111 } else { 0 };
                ((bits | execute) & self.who, self.who)
            }
            Permissions::Copied(up) => ((((mode >> up) & 0o7) * 0o111) & self.who, self.who & 0o777),
        };
        match self.operator {
            Operator::Add => mode | bits,
            Operator::Remove => mode & !bits,
            Operator::Set => mode & !about | bits,
        }
    }
}

impl FromStr for ModeChange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = |form: &str| {
            Error::new(Kind::Usage, format!("invalid chmod parameter: '{text}'. it should be {form}"))
        };
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= ALL);
            return mode.map(ModeChange::Octal).ok_or_else(|| refuse("octal string and between 0 and 07777"));
        }
        let mut steps = Vec::new();
        for clause in text.split(',') {
            parse_clause(clause, &mut steps).ok_or_else(|| refuse("octal, or symbolic as u=rwX,go=rX"))?;
        }
        Ok(ModeChange::Symbolic(steps))
    }
}

/// Reads `ugoa` and the operators after it; `None` if it is malformed.
fn parse_clause(clause: &str, steps: &mut Vec<ModeStep>) -> Option<()> {
    let mut rest = clause.chars().peekable();
    let mut who = 0;
    while let Some(class) = rest.next_if(|c| "ugoa".contains(*c)) {
        who |= match class {
            'u' => 0o4700,
            'g' => 0o2070,
            'o' => 0o0007,
            _ => EVERYBODY,
        };
    }
    let who = if who == 0 { EVERYBODY } else { who };
    loop {
        let operator = match rest.next()? {
            '+' => Operator::Add,
            '-' => Operator::Remove,
            '=' => Operator::Set,
            _ => return None,
        };
        let before = steps.len();
        let (mut bits, mut search, mut about) = (0, false, who);
        while let Some(permission) = rest.next_if(|c| !"+-=".contains(*c)) {
            bits |= match permission {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                's' => 0o6000,
                'X' => {
                    search = true;
                    0
                }
                't' if who == 0o0007 => 0,
                't' => {
                    about |= STICKY;
                    STICKY
                }
                'u' | 'g' | 'o' => {
                    let up = 3 * u32::from(permission == 'g') + 6 * u32::from(permission == 'u');
                    let (operator, permissions) = (joining(operator, steps, before), Permissions::Copied(up));
                    steps.push(ModeStep { operator, who, permissions });
                    0
                }
                _ => return None,
            };
        }
        if bits != 0 || search || steps.len() == before {
            let (operator, permissions) =
                (joining(operator, steps, before), Permissions::Bits { bits, search });
            steps.push(ModeStep { operator, who: about, permissions });
        }
        if rest.peek().is_none() {
            return Some(());
        }
    }
}

/// What `g=uw` does for the second of its letters: it adds to what the first has set.
fn joining(operator: Operator, steps: &[ModeStep], before: usize) -> Operator {
    if operator == Operator::Set && steps.len() > before { Operator::Add } else { operator }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn modes_change_as_with_chmod() {
        // The mode before, the change, the mode of a file after it, and of a directory.
        let cases = [
            (0o644, "755", 0o755, 0o755),
            (0o644, "0", 0, 0),
            (0o644, "04755", 0o4755, 0o4755),
            (0o644, "+x", 0o755, 0o755),
            (0o777, "go-w", 0o755, 0o755),
            (0o777, "u=rw,g=r,o=r", 0o644, 0o644),
            (0o644, "a+X", 0o644, 0o755),
            (0o744, "a+X", 0o755, 0o755),
            (0o600, "u=rwX,go=rX", 0o644, 0o755),
            (0o700, "u=rwX,go=rX", 0o755, 0o755),
            (0o640, "g=u", 0o660, 0o660),
            (0o750, "go=u-w", 0o755, 0o755),
            (0o640, "o=g", 0o644, 0o644),
            (0o602, "g=ow", 0o622, 0o622),
            (0o755, "u+s", 0o4755, 0o4755),
            (0o755, "g+s", 0o2755, 0o2755),
            (0o755, "o+s", 0o755, 0o755),
            (0o755, "+t", 0o1755, 0o1755),
            (0o755, "o+t", 0o755, 0o755),
            (0o6755, "u=rw", 0o2655, 0o2655),
            (0o6777, "a=", 0, 0),
            (0o777, "=r", 0o444, 0o444),
            (0o777, "u-w+s", 0o4577, 0o4577),
            (0o100_644, "u+x", 0o744, 0o744),
            (0o711, "a-X", 0o600, 0o600),
        ];
        for (before, text, file, directory) in cases {
            let change: ModeChange = text.parse().unwrap();
            assert_eq!(change.apply(before, false), file, "{text} of a file {before:o}");
            assert_eq!(change.apply(before, true), directory, "{text} of a directory {before:o}");
        }
    }

    #[test]
    fn what_is_no_mode_is_refused() {
        for octal in ["64a", "10000", "8", "99999999999999"] {
            let refused = octal.parse::<ModeChange>().unwrap_err().to_string();
            let words = "it should be octal string and between 0 and 07777";
            assert_eq!(refused, format!("invalid chmod parameter: '{octal}'. {words}"));
        }
        for symbolic in ["", "u", "u+q", "x", "u+x,", ",u+x", "u+x g", "q+x", "+x1", "ü"] {
            symbolic.parse::<ModeChange>().unwrap_err();
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_mode_or_refused(text in r"[ugoa+=,rwxXst0-9-]{0,12}", before in 0u32..0o10000) {
            if let Ok(change) = text.parse::<ModeChange>() {
                prop_assert!(change.apply(before, false) <= ALL && change.apply(before, true) <= ALL);
            }
        }
    }
}
