//! Lists with commas.

use super::{Grammar, Kind};

/// Values of one grammar, of which at least `min`. None of them holds a comma.
pub(in crate::config) struct List<G> {
    pub item: G,
    pub min: usize,
}

impl<G: Grammar> Grammar for List<G> {
    type Value = Vec<G::Value>;

    fn kind(&self) -> Kind {
        Kind::List
    }

    fn placeholder(&self) -> &'static str {
        "LIST"
    }

    fn rule(&self) -> String {
        format!("a list with commas, each {}", self.item.rule())
    }

    fn hint(&self) -> &'static str {
        self.item.hint()
    }

    fn parse(&self, text: &str) -> Option<Self::Value> {
        let items: Vec<_> = match text {
            "" => Vec::new(),
            _ => text
                .split(',')
                .map(|item| self.item.parse(item.trim()))
                .collect::<Option<_>>()?,
        };
        (items.len() >= self.min).then_some(items)
    }

    fn show(&self, value: &Self::Value) -> Option<String> {
        if value.is_empty() {
            return None;
        }
        let items: Vec<_> = value
            .iter()
            .filter_map(|item| self.item.show(item))
            .collect();
        Some(items.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Count, check};
    use super::*;

    #[test]
    fn a_list_takes_commas_and_refuses_holes() {
        let list = List {
            item: Count(0..=9_usize),
            min: 0,
        };
        check(
            &list,
            &[
                ("", Some(vec![])),
                ("1", Some(vec![1])),
                ("1, 2 ,3", Some(vec![1, 2, 3])),
                ("1,,2", None),
                ("1,", None),
                ("10", None),
            ],
        );
    }

    #[test]
    fn a_list_that_must_not_be_empty_is_not() {
        check(
            &List {
                item: Count(0..=9_usize),
                min: 1,
            },
            &[("", None), ("7", Some(vec![7]))],
        );
    }
}
