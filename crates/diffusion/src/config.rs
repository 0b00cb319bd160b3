//! Strict reading of a component's `config.json`: every field is honoured or refused by name.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result, shorten};
use crate::files::read_small;

/// Most layers in a row of one level; published models have at most 10.
const MAX_LAYERS: i64 = 16;

/// A JSON object whose fields are taken one by one; [`ConfigReader::finish`] refuses what is left.
pub(crate) struct ConfigReader {
    path: PathBuf,
    /// Where the object lies in the file: empty, or `text_config.` and the like.
    within: String,
    fields: Map<String, Value>,
}

impl ConfigReader {
    /// Reads the object in `path`.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let fields = serde_json::from_slice(&read_small(path)?)
            .map_err(|source| Error::ConfigJson { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), within: String::new(), fields })
    }

    /// Takes the object `field` to be read on its own; errors then name `field.name`. Absent is like empty.
    pub(crate) fn nested(&mut self, field: &str) -> Result<Self> {
        let fields = match self.take(field) {
            None => Map::new(),
            Some(Value::Object(fields)) => fields,
            Some(other) => return Err(self.refuse(field, &other, "an object")),
        };
        Ok(Self { path: self.path.clone(), within: format!("{}{field}.", self.within), fields })
    }

    /// Whether `field` is there and not `null`.
    pub(crate) fn has(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|v| !v.is_null())
    }

    /// Takes a field as raw JSON; `null` counts as absent.
    pub(crate) fn take(&mut self, field: &str) -> Option<Value> {
        self.fields.shift_remove(field).filter(|v| !v.is_null())
    }

    /// An error that names `field`.
    pub(crate) fn refuse(&self, field: &str, value: &Value, expected: impl Into<String>) -> Error {
        Error::ConfigField {
            path: self.path.clone(),
            field: shorten(format!("{}{field}", self.within)),
            value: shorten(value.to_string()),
            expected: expected.into(),
        }
    }

    fn parse<T>(
        &mut self,
        field: &str,
        default: T,
        expected: &str,
        f: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        match self.take(field) {
            None => Ok(default),
            Some(value) => f(&value).ok_or_else(|| self.refuse(field, &value, expected)),
        }
    }

    /// A positive size of at most 2^20.
    pub(crate) fn size(&mut self, field: &str, default: i64) -> Result<i64> {
        self.parse(field, default, "a whole number from 1 to 1048576", size)
    }

    /// A list of positive sizes; a single number stands for a list of `n` equal ones.
    pub(crate) fn sizes(&mut self, field: &str, default: i64, n: usize) -> Result<Vec<i64>> {
        self.per_level(field, default, n, 1 << 20)
    }

    /// A number of layers.
    pub(crate) fn layers(&mut self, field: &str, default: i64) -> Result<i64> {
        let expected = format!("a whole number from 1 to {MAX_LAYERS}");
        self.parse(field, default, &expected, |v| size(v).filter(|&n| n <= MAX_LAYERS))
    }

    /// A list of numbers of layers; a single number stands for a list of `n` equal ones.
    pub(crate) fn layers_list(&mut self, field: &str, default: i64, n: usize) -> Result<Vec<i64>> {
        self.per_level(field, default, n, MAX_LAYERS)
    }

    fn per_level(&mut self, field: &str, default: i64, n: usize, most: i64) -> Result<Vec<i64>> {
        let expected = format!("a whole number from 1 to {most}, or a list of {n} such numbers");
        let number = |value: &Value| size(value).filter(|&s| s <= most);
        self.parse(field, vec![default; n], &expected, |value| match value {
            Value::Array(items) if items.len() == n => items.iter().map(number).collect(),
            Value::Array(_) => None,
            one => number(one).map(|s| vec![s; n]),
        })
    }

    /// A list of 1 to 16 positive sizes.
    pub(crate) fn size_list(&mut self, field: &str, default: &[i64]) -> Result<Vec<i64>> {
        self.parse(field, default.to_vec(), "a list of 1 to 16 whole numbers from 1 to 1048576", |value| {
            let items = value.as_array().filter(|a| (1..=16).contains(&a.len()))?;
            items.iter().map(size).collect()
        })
    }

    /// A finite number.
    pub(crate) fn number(&mut self, field: &str, default: f64) -> Result<f64> {
        self.parse(field, default, "a finite number", |v| v.as_f64().filter(|x| x.is_finite()))
    }

    /// What a norm adds to a variance.
    pub(crate) fn epsilon(&mut self, field: &str, default: f64) -> Result<f64> {
        self.parse(field, default, "a number from 0 to 1", |v| v.as_f64().filter(|x| (0.0..=1.0).contains(x)))
    }

    /// One of a few whole numbers.
    pub(crate) fn choice_number(&mut self, field: &str, default: i64, allowed: &[i64]) -> Result<i64> {
        let expected = format!("one of {allowed:?}");
        self.parse(field, default, &expected, |v| v.as_i64().filter(|n| allowed.contains(n)))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, field: &str, default: bool) -> Result<bool> {
        self.parse(field, default, "true or false", Value::as_bool)
    }

    /// A list of 1 to 16 strings.
    pub(crate) fn strings(&mut self, field: &str, default: &[&str]) -> Result<Vec<String>> {
        let default = default.iter().map(|&s| s.to_owned()).collect();
        self.parse(field, default, "a list of 1 to 16 strings", |value| {
            let items = value.as_array().filter(|a| (1..=16).contains(&a.len()))?;
            items.iter().map(|v| v.as_str().map(str::to_owned)).collect()
        })
    }

    /// One of the named choices.
    pub(crate) fn choice<T: Copy>(&mut self, field: &str, default: &str, choices: &[(&str, T)]) -> Result<T> {
        let value = self.take(field).unwrap_or_else(|| Value::from(default));
        let found = value.as_str().and_then(|s| choices.iter().find(|(name, _)| *name == s));
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.refuse(field, &value, format!("one of {}", names.join(", ")))
        })
    }

    /// A field that may be absent, `null` or equal to one of `allowed`, and nothing else.
    pub(crate) fn only(&mut self, field: &str, allowed: &[Value]) -> Result<()> {
        match self.take(field) {
            Some(value) if !allowed.contains(&value) => {
                let allowed: Vec<_> = allowed.iter().map(Value::to_string).collect();
                let expected = if allowed.is_empty() { "null".to_owned() } else { allowed.join(" or ") };
                Err(self.refuse(field, &value, format!("only {expected}")))
            }
            _ => Ok(()),
        }
    }

    /// Drops fields that describe the file or its training and change no forward pass.
    pub(crate) fn ignore(&mut self, fields: &[&str]) {
        for field in fields {
            self.fields.shift_remove(*field);
        }
    }

    /// Refuses the first field that nobody took; names with a leading underscore are notes.
    pub(crate) fn finish(self) -> Result<()> {
        match self.fields.iter().find(|(name, value)| !name.starts_with('_') && !value.is_null()) {
            None => Ok(()),
            Some((name, value)) => Err(self.refuse(name, value, "this field is not known")),
        }
    }
}

fn size(value: &Value) -> Option<i64> {
    value.as_i64().filter(|n| (1..=1 << 20).contains(n))
}
