//! `coracle image diff`.

/// Arguments of `image diff`.
#[derive(Debug, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Image by name, id or beginning of an id; given two, compare the first with the second
    #[arg(value_name = "IMAGE", num_args = 1..=2, required = true)]
    pub images: Vec<String>,
    /// Print as json instead of one line per path
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    pub format: Option<String>,
}
