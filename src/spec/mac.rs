//! Hardware addresses.

use crate::error::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A hardware address of one interface: six bytes in hex with colons or hyphens between them, kept with colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// One that nobody has been given by a maker (IEEE 802, "locally administered").
    pub fn local(mut bytes: [u8; 6]) -> MacAddress {
        bytes[0] = bytes[0] & 0xfc | 0x02;
        MacAddress(bytes)
    }

    /// Its bytes, as they are sent.
    pub fn bytes(&self) -> &[u8; 6] {
        &self.0
    }
}

impl FromStr for MacAddress {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let parts: Vec<&str> = s.split([':', '-']).collect();
        let byte = |part: &&str| (part.len() == 2).then(|| u8::from_str_radix(part, 16).ok()).flatten();
        let bytes: Option<Vec<u8>> = parts.iter().map(byte).collect();
        match bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok()) {
            // The lowest bit of the first byte marks an address of many.
            Some(bytes) if bytes[0] & 1 == 0 && !s.contains('+') => Ok(MacAddress(bytes)),
            _ => Err(Error::new(Kind::Usage, format!("{s:?} is not the hardware address of an interface"))
                .hint("Write six bytes, the first one even, for example --mac-address 02:00:00:00:00:01.")),
        }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<MacAddress> for String {
    fn from(address: MacAddress) -> String {
        address.to_string()
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_are_of_one_interface() {
        for text in ["02:42:ac:11:00:02", "02-42-AC-11-00-02"] {
            assert_eq!(text.parse::<MacAddress>().unwrap().to_string(), "02:42:ac:11:00:02");
        }
        for bad in
            ["", "02:42", "01:00:5e:00:00:01", "02:42:ac:11:00:0g", "02:42:ac:11:00:+2", "2:42:ac:11:0:2"]
        {
            assert!(bad.parse::<MacAddress>().is_err(), "{bad}");
        }
    }
}
