//! Flags that also take a value, as in docker and podman: `--rm`, `--rm=true`, `-i=false`.

use crate::error::{Error, Kind, Result};
use crate::text::boolean;
use clap::{Arg, ArgAction, builder::ValueParser};
use std::any::TypeId;

fn switch(text: &str) -> Result<bool> {
    boolean(text).ok_or_else(|| Error::new(Kind::Usage, format!("{text:?} is neither true nor false")))
}

/// Gives a plain flag, on or off or neither (`Option<bool>`), an optional value after an equals sign; leaves other
/// arguments alone. For `#[command(mut_args = switchable)]`.
pub fn switchable(arg: Arg) -> Arg {
    let off_by_default = match arg.get_action() {
        ArgAction::SetTrue => arg.get_default_values().is_empty(),
        ArgAction::Set if is_bool(&arg) && !arg.is_require_equals_set() => false,
        _ => return arg,
    };
    let arg = arg
        .action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_name("BOOL")
        .value_parser(ValueParser::new(switch))
        .hide_possible_values(true);
    if off_by_default { arg.default_value("false").hide_default_value(true) } else { arg }
}

/// Whether what an argument says is on or off.
fn is_bool(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<bool>()
}
