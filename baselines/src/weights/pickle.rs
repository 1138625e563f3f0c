//! The subset of Python's pickle format that `torch.save` uses, interpreted without executing anything.
//!
//! No code is called: a global is a name, an object is opaque. Values are in one table and refer to each other by index,
//! so that neither cycles nor deep nesting in a hostile file cause recursion. Texts stay in the pickle's bytes.

use std::collections::BTreeMap;

/// Maximum number of values in a pickle, of entries of its stack and memo, and of references in its containers. A state
/// dict has about 20 of each per tensor, with an optimizer's state 60: this is enough for 17,000 parameters. A value takes
/// up to 200 bytes.
const MAX_VALUES: usize = 1 << 20;

/// Index of a value in the table.
pub(super) type Ref = usize;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    /// A module and a name in it, never resolved.
    Global(&'a str, &'a str),
    Tuple(Vec<Ref>),
    List(Vec<Ref>),
    Dict(Vec<(Ref, Ref)>),
    /// An object outside the pickle, by the tuple that identifies it: a storage.
    Persistent(Ref),
    /// The call of a global, not interpreted: the global, its arguments.
    Call(Ref, Ref),
    /// Anything else.
    Opaque,
}

/// Errors when parsing a pickle.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PickleError {
    #[error("its pickle is truncated")]
    Truncated,
    #[error("its pickle is damaged at byte {0}")]
    Damaged(usize),
    #[error("its pickle holds opcode {0:#04x}, which torch.save does not write")]
    Opcode(u8),
    #[error("its pickle has more than {MAX_VALUES} values")]
    TooLarge,
}

/// A parsed pickle: a table of values, and the index of the root.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: Ref,
}

impl<'a> Pickle<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, PickleError> {
        Machine {
            bytes,
            at: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
            held: 0,
        }
        .run()
    }

    pub(super) fn root(&self) -> &Value<'a> {
        self.get(self.root)
    }

    pub(super) fn get(&self, value: Ref) -> &Value<'a> {
        self.values.get(value).unwrap_or(&Value::None)
    }

    pub(super) fn text(&self, value: Ref) -> Option<&'a str> {
        if let Value::Text(text) = *self.get(value) { Some(text) } else { None }
    }

    pub(super) fn int(&self, value: Ref) -> Option<i64> {
        if let Value::Int(int) = self.get(value) { Some(*int) } else { None }
    }

    pub(super) fn tuple(&self, value: Ref) -> Option<&[Ref]> {
        if let Value::Tuple(items) = self.get(value) { Some(items) } else { None }
    }
}

/// The pickle's stack machine.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value<'a>>,
    stack: Vec<Ref>,
    marks: Vec<usize>,
    memo: BTreeMap<u64, Ref>,
    /// Number of references in all containers: memory that `values` does not count.
    held: usize,
}

type Step<T = ()> = Result<T, PickleError>;

impl<'a> Machine<'a> {
    fn run(mut self) -> Result<Pickle<'a>, PickleError> {
        loop {
            let opcode = self.byte()?;
            if opcode == b'.' {
                let root = self.pop()?;
                return Ok(Pickle { values: self.values, root });
            }
            self.step(opcode)?;
            // A single byte can add an entry to each of these, too.
            if self.stack.len() + self.marks.len() + self.memo.len() > MAX_VALUES {
                return Err(PickleError::TooLarge);
            }
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm an opcode: the format's own table")]
    fn step(&mut self, opcode: u8) -> Step {
        match opcode {
            // Protocol, frame: ignored.
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            // Drop a value; or set an object's state, which is irrelevant here.
            b'0' | b'b' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => {
                let top = *self.stack.last().ok_or(PickleError::Damaged(self.at))?;
                self.stack.push(top);
            }
            b'N' => self.push(Value::None)?,
            0x88 | 0x89 => self.push(Value::Bool(opcode == 0x88))?,
            b'K' => {
                let int = self.unsigned(1)?;
                self.push_int(int)?;
            }
            b'M' => {
                let int = self.unsigned(2)?;
                self.push_int(int)?;
            }
            b'J' => {
                let value = little_endian(self.take(4)?).map_or(Value::Opaque, Value::Int);
                self.push(value)?;
            }
            0x8a | 0x8b => {
                let length = self.unsigned(if opcode == 0x8a { 1 } else { 4 })?;
                let bytes = self.take_u64(length)?;
                // Longer than an i64: not a size, an offset or an index of a tensor.
                let value = little_endian(bytes).map_or(Value::Opaque, Value::Int);
                self.push(value)?;
            }
            b'G' => {
                let mut bits = [0; 8];
                bits.copy_from_slice(self.take(8)?);
                self.push(Value::Float(f64::from_be_bytes(bits)))?;
            }
            b'I' | b'L' | b'F' => {
                self.line()?;
                self.push(Value::Opaque)?;
            }
            b'X' | 0x8c | 0x8d => {
                let length = self.unsigned(match opcode {
                    b'X' => 4,
                    0x8c => 1,
                    _ => 8,
                })?;
                let at = self.at;
                let text = std::str::from_utf8(self.take_u64(length)?).map_err(|_| PickleError::Damaged(at))?;
                self.push(Value::Text(text))?;
            }
            b'B' | b'C' | b'T' | b'U' | 0x8e | 0x96 => {
                let length = self.unsigned(match opcode {
                    b'B' | b'T' => 4,
                    b'C' | b'U' => 1,
                    _ => 8,
                })?;
                self.take_u64(length)?;
                self.push(Value::Opaque)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Value::Global(module, name))?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let value = match (&self.values[module], &self.values[name]) {
                    (Value::Text(module), Value::Text(name)) => Value::Global(module, name),
                    _ => return Err(PickleError::Damaged(self.at)),
                };
                self.push(value)?;
            }
            b')' => self.push(Value::Tuple(Vec::new()))?,
            0x85..=0x87 => {
                let at =
                    self.stack.len().checked_sub(usize::from(opcode - 0x84)).ok_or(PickleError::Damaged(self.at))?;
                let items = self.stack.split_off(at);
                self.hold(items.len())?;
                self.push(Value::Tuple(items))?;
            }
            b't' => {
                let items = self.pop_mark()?;
                self.hold(items.len())?;
                self.push(Value::Tuple(items))?;
            }
            b']' | 0x8f => self.push(Value::List(Vec::new()))?,
            b'l' | 0x91 => {
                let items = self.pop_mark()?;
                self.hold(items.len())?;
                self.push(Value::List(items))?;
            }
            b'}' => self.push(Value::Dict(Vec::new()))?,
            b'd' => {
                let items = self.pop_mark()?;
                self.push(Value::Dict(Vec::new()))?;
                self.extend_dict(&items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.extend_list(&items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.extend_dict(&items)?;
            }
            b'Q' => {
                let name = self.pop()?;
                self.push(Value::Persistent(name))?;
            }
            b'R' | 0x81 => {
                let (arguments, callee) = (self.pop()?, self.pop()?);
                let value = match &self.values[callee] {
                    Value::Global("collections", "OrderedDict") => Value::Dict(Vec::new()),
                    _ => Value::Call(callee, arguments),
                };
                self.push(value)?;
            }
            0x92 => {
                self.pop()?;
                self.pop()?;
                self.pop()?;
                self.push(Value::Opaque)?;
            }
            b'q' | b'r' | 0x94 | b'p' => {
                let index = match opcode {
                    b'q' => self.unsigned(1)?,
                    b'r' => self.unsigned(4)?,
                    b'p' => self.number_line()?,
                    _ => self.memo.len() as u64,
                };
                let top = *self.stack.last().ok_or(PickleError::Damaged(self.at))?;
                self.memo.insert(index, top);
            }
            b'h' | b'j' | b'g' => {
                let index = match opcode {
                    b'h' => self.unsigned(1)?,
                    b'j' => self.unsigned(4)?,
                    _ => self.number_line()?,
                };
                let value = *self.memo.get(&index).ok_or(PickleError::Damaged(self.at))?;
                self.stack.push(value);
            }
            other => return Err(PickleError::Opcode(other)),
        }
        Ok(())
    }

    fn byte(&mut self) -> Step<u8> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, count: usize) -> Step<&'a [u8]> {
        let end = self.at.checked_add(count).ok_or(PickleError::Truncated)?;
        let bytes = self.bytes.get(self.at..end).ok_or(PickleError::Truncated)?;
        self.at = end;
        Ok(bytes)
    }

    fn take_u64(&mut self, count: u64) -> Step<&'a [u8]> {
        self.take(usize::try_from(count).map_err(|_| PickleError::Truncated)?)
    }

    fn unsigned(&mut self, size: usize) -> Step<u64> {
        Ok(self.take(size)?.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    fn line(&mut self) -> Step<&'a str> {
        let (at, rest) = (self.at, &self.bytes[self.at..]);
        let length = rest.iter().position(|&b| b == b'\n').ok_or(PickleError::Truncated)?;
        self.at += length + 1;
        std::str::from_utf8(&rest[..length]).map_err(|_| PickleError::Damaged(at))
    }

    fn number_line(&mut self) -> Step<u64> {
        let at = self.at;
        self.line()?.parse().map_err(|_| PickleError::Damaged(at))
    }

    fn push(&mut self, value: Value<'a>) -> Step {
        if self.values.len() >= MAX_VALUES {
            return Err(PickleError::TooLarge);
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    fn push_int(&mut self, int: u64) -> Step {
        self.push(Value::Int(int.cast_signed()))
    }

    fn pop(&mut self) -> Step<Ref> {
        self.stack.pop().ok_or(PickleError::Damaged(self.at))
    }

    fn pop_mark(&mut self) -> Step<Vec<Ref>> {
        let mark = self.marks.pop().filter(|&mark| mark <= self.stack.len()).ok_or(PickleError::Damaged(self.at))?;
        Ok(self.stack.split_off(mark))
    }

    fn hold(&mut self, count: usize) -> Step {
        self.held += count;
        if self.held > MAX_VALUES { Err(PickleError::TooLarge) } else { Ok(()) }
    }

    fn extend_list(&mut self, items: &[Ref]) -> Step {
        self.hold(items.len())?;
        let damaged = PickleError::Damaged(self.at);
        match self.stack.last().map(|&top| &mut self.values[top]) {
            Some(Value::List(list)) => list.extend_from_slice(items),
            // An object that extends itself, such as a deque.
            Some(_) => {}
            None => return Err(damaged),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Ref]) -> Step {
        self.hold(items.len())?;
        let damaged = PickleError::Damaged(self.at);
        if !items.len().is_multiple_of(2) {
            return Err(damaged);
        }
        match self.stack.last().map(|&top| &mut self.values[top]) {
            Some(Value::Dict(dict)) => dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            Some(_) => {}
            None => return Err(damaged),
        }
        Ok(())
    }
}

/// A signed number of up to 8 bytes; `None` if there are more.
fn little_endian(bytes: &[u8]) -> Option<i64> {
    if bytes.len() > 8 {
        return None;
    }
    let sign = if bytes.last().is_some_and(|&b| b & 0x80 != 0) { 0xff } else { 0 };
    let mut wide = [sign; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    Some(i64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests;
