//! What a person says of the circumstances that conditions of grants are held against.

use anyhow::ensure;
use clap::Args;

use crate::transport::grpc::pb;

#[derive(Debug, Default, Args)]
pub(crate) struct Circumstances {
    /// The address that is acted from; without it, it is unknown
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    source_address: String,
    /// An attribute of the resource acted on, as `name=value`: a whole number, `true`, `false` or a text,
    /// in double quotes where it would be one of the others; repeat for more
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, pb::AttributeValue)>,
}

impl Circumstances {
    /// The circumstances as the contract has them.
    ///
    /// # Errors
    /// Where an attribute stands twice: nobody could say which of the two was meant.
    pub(crate) fn into_wire(self) -> anyhow::Result<pb::DecisionContext> {
        let mut context = pb::DecisionContext { source_address: self.source_address, ..Default::default() };
        for (name, value) in self.attributes {
            ensure!(!context.resource_attributes.contains_key(&name), "`--attribute {name}=...` stands twice");
            context.resource_attributes.insert(name, value);
        }
        Ok(context)
    }
}

/// Reads `name=value`.
fn attribute(text: &str) -> Result<(String, pb::AttributeValue), String> {
    use pb::attribute_value::Kind;

    let (name, value) = text.split_once('=').ok_or("it must look like `name=value`")?;
    if name.is_empty() {
        return Err("it must look like `name=value`, and the name before `=` is missing".to_owned());
    }
    let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let kind = match (quoted, value.parse(), value.parse()) {
        (Some(text), ..) => Kind::StringValue(text.to_owned()),
        (None, Ok(number), _) => Kind::IntValue(number),
        (None, Err(_), Ok(truth)) => Kind::BoolValue(truth),
        (None, Err(_), Err(_)) => Kind::StringValue(value.to_owned()),
    };
    Ok((name.to_owned(), pb::AttributeValue { kind: Some(kind) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_typed_as_they_look() {
        use pb::attribute_value::Kind;
        let text = |text: &str| Kind::StringValue(text.to_owned());
        for (argument, name, kind) in [
            ("ring=2", "ring", Kind::IntValue(2)),
            ("ring=-2", "ring", Kind::IntValue(-2)),
            ("ring=\"2\"", "ring", text("2")),
            ("is_lab=true", "is_lab", Kind::BoolValue(true)),
            ("is_lab=\"true\"", "is_lab", text("true")),
            ("name=a=b", "name", text("a=b")),
            ("name=", "name", text("")),
            ("quote=\"", "quote", text("\"")),
            ("large=9223372036854775808", "large", text("9223372036854775808")),
        ] {
            let read = attribute(argument).unwrap();
            assert_eq!((read.0.as_str(), read.1.kind), (name, Some(kind)), "{argument}");
        }
        assert!(attribute("ring").is_err() && attribute("=1").unwrap_err().contains("is missing"));
    }

    #[test]
    fn an_attribute_is_said_once() {
        let said = |arguments: &[&str]| {
            let attributes = arguments.iter().map(|text| attribute(text).unwrap()).collect();
            Circumstances { attributes, ..Default::default() }.into_wire()
        };
        assert_eq!(said(&["ring=1", "is_lab=true"]).unwrap().resource_attributes.len(), 2);
        // The same value twice may be a slip of the name as well.
        for twice in [["ring=1", "ring=2"], ["ring=1", "ring=1"]] {
            assert!(said(&twice).unwrap_err().to_string().contains("`--attribute ring=...`"), "{twice:?}");
        }
    }
}
