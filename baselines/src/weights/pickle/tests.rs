use super::*;

/// `pickle.dumps({'a': (1, -2, 2**70), 'b': [True, None]}, protocol=2)`.
const SMALL: &[u8] =
    b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01J\xfe\xff\xff\xff\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x40\x87q\x02X\x01\x00\x00\x00bq\x03]q\x04(\x88Neu.";

#[test]
fn a_dict_is_read() {
    let pickle = Pickle::parse(SMALL).unwrap();
    let Value::Dict(items) = pickle.root() else { panic!("{:?}", pickle.root()) };
    assert_eq!(pickle.text(items[0].0), Some("a"));
    let numbers = pickle.tuple(items[0].1).unwrap();
    assert_eq!((pickle.int(numbers[0]), pickle.int(numbers[1])), (Some(1), Some(-2)));
    assert_eq!(pickle.get(numbers[2]), &Value::Opaque);
    assert!(matches!(pickle.get(items[1].1), Value::List(list) if list.len() == 2));
}

#[test]
fn truncated_or_modified_pickles_are_errors_not_panics() {
    for end in 0..SMALL.len() {
        assert!(Pickle::parse(&SMALL[..end]).is_err());
    }
    for at in 0..SMALL.len() {
        for value in 0..=255 {
            let mut bytes = SMALL.to_vec();
            bytes[at] = value;
            let _ = Pickle::parse(&bytes);
        }
    }
    assert_eq!(Pickle::parse(b"\x80\x02i").unwrap_err(), PickleError::Opcode(b'i'));
    // A claimed length of four gigabytes.
    assert_eq!(Pickle::parse(b"X\xff\xff\xff\xffa").unwrap_err(), PickleError::Truncated);
}

#[test]
fn repeated_opcodes_are_limited() {
    // Duplicates, marks, and memo entries: eight to forty bytes of memory for each.
    for opcode in [b'2', b'(', 0x94] {
        let mut bytes = vec![b')'];
        bytes.extend(std::iter::repeat_n(opcode, MAX_VALUES + 1));
        assert_eq!(Pickle::parse(&bytes).unwrap_err(), PickleError::TooLarge, "{opcode}");
    }
}

#[test]
fn deep_nesting_and_cycles_are_only_numbers() {
    let mut deep = vec![b')'];
    deep.extend(std::iter::repeat_n(0x85, 1_000_000));
    deep.push(b'.');
    assert!(Pickle::parse(&deep).is_ok());
    // A list that holds itself.
    assert!(Pickle::parse(b"]q\x00h\x00a.").is_ok());
}
