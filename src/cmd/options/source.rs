//! Options that say where images come from, for every verb that pulls.

use crate::engine::images::pull::{self, Wanted};
use crate::error::Result;
use crate::image::Platform;
use crate::registry::{Credentials, PullRequest, RetryPolicy};
use crate::text::time::parse_duration;
use std::path::PathBuf;
use std::time::Duration;

/// When an image is pulled although it may be here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PullPolicy {
    /// Always pull
    Always,
    /// Pull if the image is not in the store
    #[default]
    Missing,
    /// Never pull
    Never,
    /// Pull if the registry has a different image; use the one in the store if it does not answer
    Newer,
}

impl From<PullPolicy> for pull::PullPolicy {
    fn from(policy: PullPolicy) -> pull::PullPolicy {
        match policy {
            PullPolicy::Always => pull::PullPolicy::Always,
            PullPolicy::Missing => pull::PullPolicy::Missing,
            PullPolicy::Never => pull::PullPolicy::Never,
            PullPolicy::Newer => pull::PullPolicy::Newer,
        }
    }
}

/// Options on the image's platform and its registry, common to every verb that pulls.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SourceOptions {
    /// Platform of the image: os/arch[/variant]
    #[arg(long, value_name = "PLATFORM", conflicts_with_all = ["arch", "os"], help_heading = "Platform")]
    pub platform: Option<Platform>,
    /// Architecture of the image, instead of this machine's
    #[arg(long, value_name = "ARCH", help_heading = "Platform")]
    pub arch: Option<String>,
    /// Operating system of the image, instead of linux
    #[arg(long, value_name = "OS", help_heading = "Platform")]
    pub os: Option<String>,
    /// Variant of the architecture, such as v7
    #[arg(long, value_name = "VARIANT", help_heading = "Platform")]
    pub variant: Option<String>,
    /// How to talk to its registry.
    #[command(flatten)]
    pub registry: RegistryOptions,
}

/// How to talk to registries.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct RegistryOptions {
    /// Require https and a valid certificate; false allows plain http and any certificate
    #[arg(long, help_heading = "Registry")]
    pub tls_verify: Option<bool>,
    /// User name and password for the registry: user:password
    #[arg(long, value_name = "CREDENTIALS", help_heading = "Registry")]
    pub creds: Option<Credentials>,
    /// Credentials file, instead of the default ones
    #[arg(long, value_name = "FILE", help_heading = "Registry")]
    pub authfile: Option<PathBuf>,
    /// Directory with certificates (*.crt, *.cert, *.key) for the registry
    #[arg(long, value_name = "DIR", help_heading = "Registry")]
    pub cert_dir: Option<PathBuf>,
    /// Number of retries after a failure
    #[arg(long, value_name = "COUNT", help_heading = "Registry")]
    pub retry: Option<u32>,
    /// Delay before each retry, such as 2s; by default 1s, then doubling
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Registry")]
    pub retry_delay: Option<Duration>,
}

impl SourceOptions {
    /// The platform the user asked for, if any of the four options was given.
    ///
    /// # Errors
    /// A word that cannot be part of a platform.
    fn wanted_platform(&self) -> Result<Option<Platform>> {
        if self.platform.is_none() && self.arch.is_none() && self.os.is_none() && self.variant.is_none() {
            return Ok(None);
        }
        let own = self.variant.as_deref();
        match &self.platform {
            None => Platform::of_parts(self.os.as_deref(), self.arch.as_deref(), own),
            Some(p) => Platform::of_parts(Some(&p.os), Some(&p.architecture), own.or(p.variant.as_deref())),
        }
        .map(Some)
    }

    /// What they ask of a pull.
    ///
    /// # Errors
    /// A word that cannot be part of a platform.
    pub fn wanted(&self, policy: PullPolicy) -> Result<Wanted> {
        let platform = self.wanted_platform()?;
        let request = self.registry.request(platform.clone().unwrap_or_else(Platform::host));
        Ok(Wanted { policy: policy.into(), platform, request })
    }
}

impl RegistryOptions {
    /// What they ask of a pull for this platform.
    pub fn request(&self, platform: Platform) -> PullRequest {
        let usual = RetryPolicy::default();
        PullRequest {
            platform,
            tls_verify: self.tls_verify,
            credentials: self.creds.clone(),
            auth_file: self.authfile.clone(),
            cert_dir: self.cert_dir.clone(),
            retry: RetryPolicy { retries: self.retry.unwrap_or(usual.retries), delay: self.retry_delay },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platform_options_make_a_platform() {
        let options = |arch: Option<&str>, os: Option<&str>, variant: Option<&str>| SourceOptions {
            arch: arch.map(str::to_owned),
            os: os.map(str::to_owned),
            variant: variant.map(str::to_owned),
            ..SourceOptions::default()
        };
        assert_eq!(options(None, None, None).wanted_platform().unwrap(), None);
        let arm = options(Some("arm"), None, Some("v6")).wanted_platform().unwrap().unwrap();
        assert_eq!(arm.to_string(), "linux/arm/v6");
        let alias = options(Some("x86_64"), None, None).wanted_platform().unwrap().unwrap();
        assert_eq!(alias.to_string(), "linux/amd64");
        assert!(options(Some("a/b/c"), None, None).wanted_platform().is_err());
    }
}
