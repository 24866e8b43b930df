//! Arbitrary content of every registry record that an agreement reads: what it reads is lawful, what it never reads holds
//! a canary.

use std::collections::BTreeMap;

use convenio_agreement::Pack;
use convenio_agreement::plan::{FieldPlan, Root, Sources, Transform};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

/// What stands in every text that nothing may be built from.
pub const CANARY: &str = "CANARY-NEVER-CROSSES";

/// Draws values; each text and number of a field that no message reads is unmistakable.
pub struct Dice {
    runner: TestRunner,
}

impl Dice {
    pub fn new(seed: u8) -> Self {
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
        Self { runner: TestRunner::new_with_rng(Config::default(), rng) }
    }

    fn draw<S: Strategy>(&mut self, strategy: S) -> S::Value {
        strategy.new_tree(&mut self.runner).unwrap().current()
    }

    fn pattern(&mut self, pattern: &str) -> String {
        let inner = pattern.trim_start_matches('^').trim_end_matches('$');
        self.draw(proptest::string::string_regex(inner).unwrap())
    }

    /// A value for a registry field; `rules` are those of the message field that reads it, if one does.
    fn value(&mut self, kind: &Kind, rules: Option<&DynamicMessage>, depth: usize) -> Option<Value> {
        let of = |name: &str| sub(rules?, name);
        Some(match kind {
            Kind::String => Value::String(self.text(of("string").as_ref())),
            Kind::Bytes => Value::Bytes(vec![0xA5; 32].into()),
            Kind::Bool => Value::Bool(rules.is_some() || self.draw(proptest::bool::ANY)),
            Kind::Int32 => Value::I32(self.number(of("int32").as_ref(), i64::from(i32::MAX)).try_into().unwrap()),
            Kind::Int64 => Value::I64(self.number(of("int64").as_ref(), i64::MAX)),
            Kind::Uint32 => Value::U32(self.number(of("uint32").as_ref(), i64::from(u32::MAX)).try_into().unwrap()),
            Kind::Enum(of_enum) => {
                let allowed = of("enum").and_then(|rules| list(&rules, "in"));
                let numbers: Vec<i32> = match allowed {
                    Some(values) => values.iter().filter_map(Value::as_i32).collect(),
                    None => of_enum.values().map(|value| value.number()).filter(|number| *number != 0).collect(),
                };
                Value::EnumNumber(self.draw(proptest::sample::select(numbers)))
            }
            Kind::Message(inner) => Value::Message(self.message(inner, depth + 1)?),
            _ => return None,
        })
    }

    fn text(&mut self, rules: Option<&DynamicMessage>) -> String {
        let Some(rules) = rules else { return CANARY.to_owned() };
        if let Some(Value::String(pattern)) = rules.get_field_by_name("pattern").as_deref()
            && !pattern.is_empty()
        {
            return self.pattern(&pattern.clone());
        }
        if rules.has_field_by_name("const")
            && let Some(Value::String(only)) = rules.get_field_by_name("const").as_deref()
        {
            return only.clone();
        }
        if let Some(values) = list(rules, "in") {
            let texts: Vec<String> = values.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
            return self.draw(proptest::sample::select(texts));
        }
        self.pattern("[A-Za-z ]{1,8}")
    }

    fn number(&mut self, rules: Option<&DynamicMessage>, most: i64) -> i64 {
        let limit = |name: &str| {
            let rules = rules?;
            let value = rules.has_field_by_name(name).then(|| rules.get_field_by_name(name))??;
            value.as_i64().or_else(|| value.as_i32().map(i64::from)).or_else(|| value.as_u32().map(i64::from))
        };
        if let Some(only) = limit("const") {
            return only;
        }
        let low = limit("gte").or_else(|| limit("gt").map(|n| n + 1)).unwrap_or(0);
        let high = limit("lte").or_else(|| limit("lt").map(|n| n - 1)).unwrap_or(most);
        self.draw(low..=high)
    }

    /// A nested message: values within the rules of its own fields, so that it is lawful where it crosses.
    fn message(&mut self, descriptor: &MessageDescriptor, depth: usize) -> Option<DynamicMessage> {
        let mut message = DynamicMessage::new(descriptor.clone());
        if depth > 6 || descriptor.full_name().starts_with("google.protobuf.") {
            return None;
        }
        for field in descriptor.fields() {
            let rules = rules_of(&field);
            let value = match (descriptor.name(), field.name()) {
                ("Date", "day") => Some(Value::I32(self.draw(1..=28))),
                _ => self.field(&field, rules.as_ref(), depth),
            };
            if let Some(value) = value {
                message.set_field(&field, value);
            }
        }
        Some(message)
    }

    fn field(&mut self, field: &FieldDescriptor, rules: Option<&DynamicMessage>, depth: usize) -> Option<Value> {
        if !field.is_list() {
            return self.value(&field.kind(), rules, depth);
        }
        let repeated = rules.and_then(|rules| sub(rules, "repeated"));
        let items = repeated.as_ref().and_then(|rules| sub(rules, "items"));
        let one = self.value(&field.kind(), items.as_ref(), depth)?;
        Some(Value::List(vec![one]))
    }
}

fn sub(rules: &DynamicMessage, name: &str) -> Option<DynamicMessage> {
    if !rules.has_field_by_name(name) {
        return None;
    }
    rules.get_field_by_name(name)?.as_message().cloned()
}

fn list(rules: &DynamicMessage, name: &str) -> Option<Vec<Value>> {
    let values = rules.get_field_by_name(name)?.as_list()?.to_vec();
    (!values.is_empty()).then_some(values)
}

fn rules_of(field: &FieldDescriptor) -> Option<DynamicMessage> {
    let option = field.parent_pool().get_extension_by_name("buf.validate.field")?;
    let options = field.options();
    options.has_extension(&option).then(|| options.get_extension(&option).as_message().cloned())?
}

/// Sets what a path leads to, making what it leads through.
fn set(message: &mut DynamicMessage, path: &[&str], value: Value) {
    let (step, rest) = path.split_first().unwrap();
    let field = message.descriptor().get_field_by_name(step).unwrap();
    if rest.is_empty() {
        message.set_field(&field, value);
    } else {
        set(message.get_field_mut(&field).as_message_mut().unwrap(), rest, value);
    }
}

/// Fields of all messages, by the registry path that they are built from; where several read one, that of the message
/// `focus` counts.
fn readers(pack: &Pack, focus: &str) -> BTreeMap<String, FieldPlan> {
    let (of_focus, others): (Vec<_>, Vec<_>) = pack.messages().partition(|plan| plan.name() == focus);
    let fields = others.into_iter().chain(of_focus).flat_map(|plan| &plan.fields);
    fields.map(|field| (field.source.as_str().to_owned(), field.clone())).collect()
}

/// Every record, full: what is read holds values that are lawful in the message `focus`, what is never read holds the
/// canary.
pub fn sources(pack: &Pack, dice: &mut Dice, focus: &str) -> Sources {
    let readers = readers(pack, focus);
    let mut sources = Sources::new();
    for root in Root::ALL {
        let mut record = dice.message(root.descriptor(), 0).unwrap();
        let mut data = pack.extension(*root).map(|of| DynamicMessage::new(of.clone()));
        canaries(&mut record);
        for (path, reader) in readers.iter().filter(|(_, reader)| reader.source.root() == *root) {
            let steps: Vec<&str> = path.split('.').skip(1).collect();
            let rules = rules_of(&reader.field);
            let value = match reader.transform {
                Transform::Copy => dice.field(reader.source.leaf(), rules.as_ref(), 0),
                Transform::Year => dice.value(&reader.source.leaf().kind(), None, 0),
                Transform::LastFour => Some(Value::String(format!("{CANARY}{}", dice.pattern("[A-Z0-9]{4}")))),
            };
            let Some(mut value) = value else { continue };
            if let Some(code) = reader.codes.as_ref().and_then(|codes| codes.first()) {
                listed(&mut value, code);
            }
            match steps.split_first() {
                Some((&"agreement_data", rest)) => set(data.as_mut().unwrap(), rest, value),
                _ => set(&mut record, &steps, value),
            }
        }
        if let Some(data) = data {
            extend(pack, &mut record, &data);
        }
        sources = sources.with_message(record).unwrap();
    }
    sources
}

/// Puts a value of the field's closed list where another was drawn.
fn listed(value: &mut Value, code: &str) {
    match value {
        Value::String(text) => code.clone_into(text),
        Value::List(items) => items.iter_mut().for_each(|item| listed(item, code)),
        Value::Message(message) => {
            let of = if message.descriptor().name() == "LedgerEntry" { "unit" } else { "value" };
            message.get_field_by_name_mut(of).into_iter().for_each(|inner| listed(inner, code));
        }
        _ => {}
    }
}

/// Puts the canary into every text of the record itself.
fn canaries(record: &mut DynamicMessage) {
    let fields: Vec<FieldDescriptor> = record.descriptor().fields().collect();
    for field in fields {
        if field.kind() == Kind::String && !field.is_list() {
            record.set_field(&field, Value::String(format!("{CANARY}-{}", field.name())));
        }
    }
}

/// The agreement's own data beside that of another agreement.
fn extend(pack: &Pack, record: &mut DynamicMessage, data: &DynamicMessage) {
    let field = record.descriptor().get_field_by_name("agreement_data").unwrap();
    let entry = |agreement: &str, name: &str, bytes: Vec<u8>| {
        let mut entry = DynamicMessage::new(field.kind().as_message().unwrap().clone());
        let any = entry.descriptor().get_field_by_name("value").unwrap();
        let mut value = DynamicMessage::new(any.kind().as_message().unwrap().clone());
        value.set_field_by_name("type_url", Value::String(format!("type.googleapis.com/{name}")));
        value.set_field_by_name("value", Value::Bytes(bytes.into()));
        entry.set_field_by_name("agreement", Value::String(agreement.to_owned()));
        entry.set_field(&any, Value::Message(value));
        Value::Message(entry)
    };
    let other = entry("xx-yy", "x.Y", CANARY.as_bytes().to_vec());
    let own = entry(pack.id(), data.descriptor().full_name(), data.encode_to_vec());
    record.set_field(&field, Value::List(vec![other, own]));
}
