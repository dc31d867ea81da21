//! Messages, whole and in part.

use super::*;
use crate::types::Type;

fn check(types: &[Type], message: &[u8]) -> Result<Progress, DecodeError> {
    let plan = Plan::new(types).unwrap();
    Checker::new(Arc::new(plan)).advance(message)
}

#[test]
fn a_message_ends_where_its_values_end() {
    let types = [Type::U32, Type::String];
    let message = [0x80, 1, 2, b'h', b'i', 99, 99];
    assert_eq!(
        check(&types, &message),
        Ok(Progress::Complete { length: 5 })
    );
    assert_eq!(check(&[], &message), Ok(Progress::Complete { length: 0 }));
}

#[test]
fn it_says_how_much_is_missing_at_least() {
    let types = [Type::U8, Type::list(Type::U8)];
    assert_eq!(check(&types, &[]), Ok(Progress::Incomplete { needed: 1 }));
    assert_eq!(check(&types, &[7]), Ok(Progress::Incomplete { needed: 2 }));
    assert_eq!(
        check(&types, &[7, 0x80, 0x08, 1]),
        Ok(Progress::Incomplete { needed: 3 + 1024 })
    );
    // A claim of 4 GiB reserves nothing.
    let claim = [7, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(
        check(&types, &claim),
        Ok(Progress::Incomplete {
            needed: 6 + u32::MAX as usize
        })
    );
}

#[test]
fn values_that_do_not_fit_the_guest_are_refused_as_soon_as_they_say_how_large_they_are() {
    let check = |types: &[Type], message: &[u8], room| {
        let checker = Checker::new(Arc::new(Plan::new(types).unwrap()));
        checker.within(room).advance(message)
    };
    let bytes = [Type::list(Type::U8), Type::list(Type::U8)];
    let fault = |needed, limit| Fault::Memory { needed, limit };
    let refused = |types: &[Type], message: &[u8], room| {
        check(types, message, room)
            .expect_err("it does not fit")
            .fault
    };
    // Of the second list, nothing has arrived but its length.
    assert_eq!(refused(&bytes, &[3, 1, 2, 3, 8], 10), fault(11, 10));
    let complete = |length| Ok(Progress::Complete { length });
    assert_eq!(check(&bytes, &[2, 1, 2, 1, 1], 3), complete(5));
    // A list takes what its elements take in memory, and the strings in it are beside them.
    let strings = [Type::list(Type::String)];
    assert_eq!(refused(&strings, &[2], 15), fault(16, 15));
    assert_eq!(refused(&strings, &[2, 1, b'a', 4], 17), fault(18, 17));
    let message = [2, 1, b'a', 2, b'b', b'c'];
    assert_eq!(check(&strings, &message, 17), complete(6));
    let nested = [Type::list(Type::list(Type::U64))];
    assert_eq!(refused(&nested, &[2, 1, 1, 2], 39), fault(40, 39));
    // However it is cut, nothing counts twice.
    let mut checker = Checker::new(Arc::new(Plan::new(&nested).unwrap())).within(40);
    let message = [2, 1, 1, 2, 1, 1];
    for end in 0..message.len() {
        checker.advance(&message[..end]).expect("it fits");
    }
    assert_eq!(checker.advance(&message), complete(6));
}

#[test]
fn every_split_of_a_message_gives_the_same_answer() {
    let element = Type::Tuple(vec![
        Type::S16,
        Type::option(Type::String),
        Type::result(None, Some(Type::list(Type::U64))),
        Type::Char,
    ]);
    let types = [Type::Bool, Type::list(element), Type::Flags(12), Type::F64];
    let plan = Arc::new(Plan::new(&types).unwrap());
    let mut message = vec![1, 2];
    message.extend([0xff, 0x7e, 1, 2, b'h', b'i', 0]);
    message.extend("é".bytes());
    message.extend([5, 0, 1, 2, 0x80, 1, 9]);
    message.extend("z".bytes());
    message.extend([0xff, 0x0f]);
    message.extend(1.5f64.to_le_bytes());
    let complete = Progress::Complete {
        length: message.len(),
    };
    for first in 0..message.len() {
        for second in first..message.len() {
            let mut checker = Checker::new(Arc::clone(&plan));
            for end in [first, second] {
                let progress = checker.advance(&message[..end]).unwrap();
                let Progress::Incomplete { needed } = progress else {
                    panic!("complete with {end} bytes of {}", message.len());
                };
                assert!(needed > end && needed <= message.len());
            }
            assert_eq!(checker.advance(&message), Ok(complete));
        }
    }
}

#[test]
fn errors_say_where() {
    let types = [Type::U8, Type::list(Type::option(Type::U8))];
    let error = check(&types, &[7, 3, 0, 1, 9, 2]).unwrap_err();
    assert_eq!(
        error,
        DecodeError {
            value: 1,
            offset: 5,
            fault: Fault::Bit { byte: 2 }
        }
    );
    assert_eq!(
        error.to_string(),
        "value 1, byte 5 of the message: 0x02 where 0 or 1 is expected"
    );
}

#[test]
fn what_is_wrong_is_told_before_the_rest_arrives() {
    let wrong = |ty: Type, message: &[u8]| check(&[ty], message).unwrap_err().fault;
    let cases = Type::Variant(vec![None, Some(Type::U64)]);
    assert_eq!(
        wrong(cases, &[2]),
        Fault::Discriminant {
            discriminant: 2,
            cases: 2
        }
    );
    assert_eq!(wrong(Type::String, &[1, 0xff]), Fault::Text);
    assert_eq!(
        wrong(Type::String, &[0x80, 0x80, 0x80, 0x80, 0x08]),
        Fault::Length { length: 1 << 31 }
    );
    let wide = Type::list(Type::Tuple(vec![Type::U64; 4]));
    assert_eq!(
        wrong(wide, &[0xff, 0xff, 0xff, 0xff, 0x0f]),
        Fault::Length { length: u32::MAX }
    );
    assert_eq!(wrong(Type::Bool, &[2]), Fault::Bit { byte: 2 });
}
