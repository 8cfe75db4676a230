//! Single words: one of a few, yes or no, an address, or free text.

use std::marker::PhantomData;
use std::net::SocketAddr;

use super::{Grammar, Kind};
use crate::config::choice::Choice;

/// One of the names of a `Choice`, in any case.
pub(in crate::config) struct OneOf<T>(pub PhantomData<T>);

/// `true` or `false`.
pub(in crate::config) struct Switch;

/// An address to bind: names are not resolved, so that start-up cannot surprise.
pub(in crate::config) struct Address;

/// Text that is not empty; `what` completes "it must be …".
pub(in crate::config) struct Text {
    pub what: &'static str,
}

impl<T: Choice> Grammar for OneOf<T> {
    type Value = T;

    fn placeholder(&self) -> &'static str {
        "NAME"
    }

    fn rule(&self) -> String {
        let names: Vec<_> = T::ALL.iter().map(|value| value.name()).collect();
        match names.as_slice() {
            [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            names => names.concat(),
        }
    }

    fn hint(&self) -> &'static str {
        "give one of these names"
    }

    fn parse(&self, text: &str) -> Option<T> {
        let mut values = T::ALL.iter().copied();
        values.find(|value| value.name().eq_ignore_ascii_case(text))
    }

    fn show(&self, value: &T) -> Option<String> {
        Some(value.name().to_owned())
    }
}

impl Grammar for Switch {
    type Value = bool;

    fn kind(&self) -> Kind {
        Kind::Switch
    }

    fn placeholder(&self) -> &'static str {
        "BOOL"
    }

    fn rule(&self) -> String {
        "true or false".to_owned()
    }

    fn hint(&self) -> &'static str {
        "1 and 0 will do as well"
    }

    fn parse(&self, text: &str) -> Option<bool> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    fn show(&self, value: &bool) -> Option<String> {
        Some(value.to_string())
    }
}

impl Grammar for Address {
    type Value = SocketAddr;

    fn placeholder(&self) -> &'static str {
        "ADDRESS"
    }

    fn rule(&self) -> String {
        "an IP address and a port".to_owned()
    }

    fn hint(&self) -> &'static str {
        "give them as 127.0.0.1:8080, [::1]:8080, or 0.0.0.0:8080 for every interface"
    }

    fn parse(&self, text: &str) -> Option<SocketAddr> {
        text.parse().ok()
    }

    fn show(&self, value: &SocketAddr) -> Option<String> {
        Some(value.to_string())
    }
}

impl Grammar for Text {
    type Value = String;

    fn placeholder(&self) -> &'static str {
        "TEXT"
    }

    fn rule(&self) -> String {
        self.what.to_owned()
    }

    fn hint(&self) -> &'static str {
        "give at least one character"
    }

    fn parse(&self, text: &str) -> Option<String> {
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn show(&self, value: &String) -> Option<String> {
        Some(value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;
    use crate::config::Metering;

    #[test]
    fn a_choice_is_one_of_its_names_in_any_case() {
        let metering = OneOf::<Metering>(PhantomData);
        check(
            &metering,
            &[
                ("fuel+epoch", Some(Metering::FuelAndEpoch)),
                ("Epoch", Some(Metering::Epoch)),
                ("fuel", None),
                ("", None),
            ],
        );
        assert_eq!(metering.rule(), "fuel+epoch or epoch");
    }

    #[test]
    fn a_switch_is_true_or_false() {
        check(
            &Switch,
            &[
                ("true", Some(true)),
                ("1", Some(true)),
                ("False", Some(false)),
                ("0", Some(false)),
                ("yes", None),
                ("", None),
            ],
        );
    }

    #[test]
    fn an_address_has_a_port_and_no_name() {
        check(
            &Address,
            &[
                ("127.0.0.1:0", Some(SocketAddr::from(([127, 0, 0, 1], 0)))),
                (
                    "[::1]:8080",
                    Some(SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 8080))),
                ),
                ("127.0.0.1", None),
                ("localhost:8080", None),
                (":8080", None),
                ("127.0.0.1:65536", None),
            ],
        );
    }
}
