//! `coracle image inspect`.

/// Arguments of `image inspect`.
#[derive(Debug, Default, clap::Args)]
#[command(mut_args = crate::cmd::options::switch::switchable)]
pub struct Args {
    /// Images by name, id or beginning of an id
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Print as json or a Go template such as '{{.Config.Cmd}}'
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}
