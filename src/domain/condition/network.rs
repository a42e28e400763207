//! Networks in CIDR form.
//!
//! Host bits are refused and not cut off: whoever writes `10.1.2.3/8` may have meant one host. An IPv6
//! address that maps an IPv4 one counts as that, and a network of such addresses is the IPv4 network;
//! wider IPv6 networks, `::/0` too, therefore contain no IPv4 address.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

use crate::domain::invalid::Invalid;

/// The longest network as text, in characters.
pub const NETWORK_LENGTH_MAX: usize = 49;
/// How many bits of a mapped address say that it is one.
const MAPPED_BITS: u8 = 96;

/// One network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// Reads an address and the length of its prefix.
    ///
    /// # Errors
    /// [`Invalid`] where it is no network, or has bits set behind its prefix.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const FORM: Invalid = Invalid::Form { form: "a network such as `10.0.0.0/8` or `2001:db8::/32`" };
        if text.chars().count() > NETWORK_LENGTH_MAX {
            return Err(Invalid::TooLong { max: NETWORK_LENGTH_MAX });
        }
        let (address, bits) = text.split_once('/').ok_or(FORM)?;
        let is_plain = bits.bytes().all(|digit| digit.is_ascii_digit()) && (bits.len() == 1 || !bits.starts_with('0'));
        let bits: u8 = bits.parse().ok().filter(|_| is_plain).ok_or(FORM)?;
        let address: IpAddr = address.parse().map_err(|_| FORM)?;
        let network = IpNet::new(address, bits).map_err(|_| FORM)?;
        if network.trunc() != network {
            return Err(Invalid::Form { form: "a network without host bits, such as `10.0.0.0/8` or `10.1.2.3/32`" });
        }
        let mapped = match address {
            IpAddr::V6(address) => address.to_ipv4_mapped().zip(bits.checked_sub(MAPPED_BITS)),
            IpAddr::V4(_) => None,
        };
        match mapped {
            Some((address, bits)) => Ipv4Net::new(address, bits).map(|network| Self(network.into())).map_err(|_| FORM),
            None => Ok(Self(network)),
        }
    }

    #[must_use]
    pub const fn net(&self) -> IpNet {
        self.0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl TryFrom<String> for Network {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_one_spelling() {
        let cases = [
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("10.1.2.3/32", Some("10.1.2.3/32")),
            ("2001:0DB8:0:0::/32", Some("2001:db8::/32")),
            ("::/0", Some("::/0")),
            ("::ffff:10.0.0.0/104", Some("10.0.0.0/8")),
            ("::ffff:0:0/96", Some("0.0.0.0/0")),
            ("::ffff:1.2.3.4/128", Some("1.2.3.4/32")),
            // Wider than what maps IPv4: a network of IPv6 addresses.
            ("::/95", Some("::/95")),
            ("10.0.0.1/8", None),
            ("2001:db8::1/32", None),
            ("10.0.0.0", None),
            ("10.0.0.0/", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/08", None),
            ("10.0.0.0/+8", None),
            ("10.0.0.0/-1", None),
            ("010.0.0.0/8", None),
            ("10.0.0/8", None),
            ("10.0.0.0/255.0.0.0", None),
            (" 10.0.0.0/8", None),
            ("fe80::%eth0/64", None),
            ("2001:db8::/129", None),
            ("", None),
            ("/8", None),
        ];
        for (text, expected) in cases {
            let found = Network::parse(text).ok().map(|network| network.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
