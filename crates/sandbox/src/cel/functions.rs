//! The functions expressions may call, as a table, and how types are held against it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use super::decl::{Decl, Shape};

/// A type while an expression is checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ty {
    Dyn,
    Null,
    /// `bool`, `int` and all others without parts, by the language's name.
    Plain(&'static str),
    List(Box<Ty>),
    Map(Box<Ty>, Box<Ty>),
    Object(Arc<BTreeMap<String, Decl>>),
    Optional(Box<Ty>),
}

impl Ty {
    pub const BOOL: Self = Self::Plain("bool");
    pub const INT: Self = Self::Plain("int");
    pub const TEXT: Self = Self::Plain("string");

    pub fn of(decl: &Decl) -> Self {
        match &decl.shape {
            Shape::Dyn => Self::Dyn,
            Shape::Bool => Self::BOOL,
            Shape::Int => Self::INT,
            Shape::Double => Self::Plain("double"),
            Shape::Text => Self::TEXT,
            Shape::Bytes => Self::Plain("bytes"),
            Shape::Duration => Self::Plain("google.protobuf.Duration"),
            Shape::Timestamp => Self::Plain("google.protobuf.Timestamp"),
            Shape::List(inner, _) => Self::List(Box::new(Self::of(inner))),
            Shape::Map(inner) => Self::Map(Box::new(Self::TEXT), Box::new(Self::of(inner))),
            Shape::Object(fields) => Self::Object(Arc::clone(fields)),
        }
    }

    pub fn is(&self, name: &str) -> bool {
        matches!(self, Self::Plain(one) if *one == name)
    }

    /// Of a fixed size.
    pub fn is_scalar(&self) -> bool {
        const SCALARS: [&str; 6] =
            ["bool", "int", "uint", "double", "google.protobuf.Duration", "google.protobuf.Timestamp"];
        match self {
            Self::Plain(name) => SCALARS.contains(name),
            Self::Optional(inner) => inner.is_scalar(),
            _ => false,
        }
    }
}

impl fmt::Display for Ty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Plain(name) => f.write_str(name),
            Self::List(item) => write!(f, "list({item})"),
            Self::Map(key, value) => write!(f, "map({key}, {value})"),
            Self::Object(_) => f.write_str("object"),
            Self::Optional(inner) => write!(f, "optional_type({inner})"),
        }
    }
}

/// Name, what it is called on (`-` for nothing), arguments, result. `b` bool, `i` int, `u` uint, `d` double,
/// `s` string, `y` bytes, `D` duration, `T` timestamp, `n` null, `t` type, `Q` quantity, `U` url, `P` ip,
/// `C` cidr, `F` format, `*` anything, `A` and `B` the same type wherever they stand, `[A]` list, `{A,B}` map, `?A` optional.
const TABLE: &str = "
!_ - b b
-_ - i i
-_ - d d
_||_ - b,b b
_&&_ - b,b b
_?_:_ - b,A,A A
_==_ - A,A b
_!=_ - A,A b
@in - A,[A] b
@in - A,{A,B} b
_[_] - [A],i A
_[_] - {A,B},A B
_[?_] - [A],i ?A
_[?_] - {A,B},A ?B
_+_ - i,i i
_+_ - u,u u
_+_ - d,d d
_+_ - s,s s
_+_ - y,y y
_+_ - [A],[A] [A]
_+_ - D,D D
_+_ - T,D T
_+_ - D,T T
_-_ - i,i i
_-_ - u,u u
_-_ - d,d d
_-_ - D,D D
_-_ - T,D T
_-_ - T,T D
_*_ - i,i i
_*_ - u,u u
_*_ - d,d d
_/_ - i,i i
_/_ - u,u u
_/_ - d,d d
_%_ - i,i i
_%_ - u,u u
size - s i
size - y i
size - [A] i
size - {A,B} i
size s - i
size y - i
size [A] - i
size {A,B} - i
dyn - A *
type - A t
int - i i
int - u i
int - d i
int - s i
int - T i
uint - i u
uint - u u
uint - d u
uint - s u
double - i d
double - u d
double - d d
double - s d
bool - b b
bool - s b
string - b s
string - i s
string - u s
string - d s
string - s s
string - y s
string - D s
string - T s
string - P s
string - C s
bytes - s y
bytes - y y
duration - s D
duration - D D
timestamp - s T
timestamp - T T
timestamp - i T
getFullYear T - i
getMonth T - i
getDayOfYear T - i
getDayOfMonth T - i
getDate T - i
getDayOfWeek T - i
getHours T - i
getMinutes T - i
getSeconds T - i
getMilliseconds T - i
getHours D - i
getMinutes D - i
getSeconds D - i
getMilliseconds D - i
matches s s b
matches - s,s b
startsWith s s b
endsWith s s b
contains s s b
charAt s i s
indexOf s s i
indexOf s s,i i
lastIndexOf s s i
lastIndexOf s s,i i
lowerAscii s - s
upperAscii s - s
trim s - s
replace s s,s s
replace s s,s,i s
split s s [s]
split s s,i [s]
substring s i s
substring s i,i s
join [s] - s
join [s] s s
format s [*] s
strings.quote - s s
find s s s
findAll s s [s]
findAll s s,i [s]
isSorted [A] - b
sum [i] - i
sum [u] - u
sum [d] - d
sum [D] - D
min [A] - A
max [A] - A
indexOf [A] A i
lastIndexOf [A] A i
sets.contains - [A],[A] b
sets.equivalent - [A],[A] b
sets.intersects - [A],[A] b
isURL - s b
url - s U
getScheme U - s
getHost U - s
getHostname U - s
getPort U - s
getEscapedPath U - s
getQuery U - {s,[s]}
isQuantity - s b
quantity - s Q
sign Q - i
asInteger Q - i
isInteger Q - b
asApproximateFloat Q - d
isGreaterThan Q Q b
isLessThan Q Q b
compareTo Q Q i
add Q Q Q
add Q i Q
sub Q Q Q
sub Q i Q
isIP - s b
ip - s P
ip.isCanonical - s b
family P - i
isUnspecified P - b
isLoopback P - b
isLinkLocalMulticast P - b
isLinkLocalUnicast P - b
isGlobalUnicast P - b
isCIDR - s b
cidr - s C
containsIP C s b
containsIP C P b
containsCIDR C s b
containsCIDR C C b
ip C - P
prefixLength C - i
masked C - C
validate F s ?[s]
format.named - s ?F
optional.of - A ?A
optional.ofNonZeroValue - A ?A
optional.none - - ?*
hasValue ?A - b
value ?A - A
or ?A ?A ?A
orValue ?A A A
";

struct Signature {
    target: Option<&'static str>,
    args: Vec<&'static str>,
    result: &'static str,
}

static SIGNATURES: LazyLock<BTreeMap<&'static str, Vec<Signature>>> = LazyLock::new(|| {
    let mut found: BTreeMap<&'static str, Vec<Signature>> = BTreeMap::new();
    let mut add = |name, target, args, result| {
        found.entry(name).or_default().push(Signature { target, args, result });
    };
    for line in TABLE.lines() {
        if let [name, target, args, result] = *line.split(' ').collect::<Vec<_>>().as_slice() {
            let target = (target != "-").then_some(target);
            let args = if args == "-" { Vec::new() } else { split_args(args) };
            add(name, target, args, result);
        }
    }
    for (name, _) in super::formats::FORMATS {
        add(name, None, Vec::new(), "F");
    }
    // Order is known of everything but lists and maps, and among all kinds of numbers.
    for name in ["_<_", "_<=_", "_>_", "_>=_"] {
        for one in ["b", "i", "u", "d", "s", "y", "D", "T"] {
            add(name, None, vec![one, one], "b");
        }
        for (a, b) in [("i", "u"), ("i", "d"), ("u", "i"), ("u", "d"), ("d", "i"), ("d", "u")] {
            add(name, None, vec![a, b], "b");
        }
    }
    found
});

/// Splits at commas outside of brackets.
fn split_args(text: &'static str) -> Vec<&'static str> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

const PLAIN: &[(&str, &str)] = &[
    ("b", "bool"),
    ("i", "int"),
    ("u", "uint"),
    ("d", "double"),
    ("s", "string"),
    ("y", "bytes"),
    ("D", "google.protobuf.Duration"),
    ("T", "google.protobuf.Timestamp"),
    ("t", "type"),
    ("Q", "kubernetes.Quantity"),
    ("U", "kubernetes.URL"),
    ("P", "net.IP"),
    ("C", "net.CIDR"),
    ("F", "kubernetes.NamedFormat"),
];

/// Names of types, which stand for themselves in expressions.
pub(super) const TYPE_NAMES: &[&str] =
    &["bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"];

type Bound = BTreeMap<&'static str, Ty>;

fn fits(pattern: &'static str, ty: &Ty, bound: &mut Bound) -> bool {
    if matches!(pattern, "A" | "B") {
        return match bound.get(pattern).cloned() {
            None => {
                bound.insert(pattern, ty.clone());
                true
            }
            Some(known) => match join(&known, ty) {
                Some(joined) => {
                    bound.insert(pattern, joined);
                    true
                }
                None => false,
            },
        };
    }
    if *ty == Ty::Dyn || pattern == "*" {
        return true;
    }
    if let Some((_, name)) = PLAIN.iter().find(|(letter, _)| *letter == pattern) {
        return ty.is(name);
    }
    match (pattern.split_at(1), ty) {
        (("[", inner), Ty::List(item)) => fits(inner.trim_end_matches(']'), item, bound),
        (("{", inner), Ty::Map(key, value)) => {
            let parts = split_args(&inner[..inner.len() - 1]);
            fits(parts[0], key, bound) && fits(parts[1], value, bound)
        }
        (("?", inner), Ty::Optional(value)) => fits(inner, value, bound),
        _ => false,
    }
}

/// The type that takes values of both, if there is one.
pub(super) fn join(a: &Ty, b: &Ty) -> Option<Ty> {
    match (a, b) {
        (Ty::Dyn, _) | (_, Ty::Dyn) => Some(Ty::Dyn),
        (Ty::List(a), Ty::List(b)) => Some(Ty::List(Box::new(join(a, b)?))),
        (Ty::Map(k, v), Ty::Map(l, w)) => Some(Ty::Map(Box::new(join(k, l)?), Box::new(join(v, w)?))),
        (Ty::Optional(a), Ty::Optional(b)) => Some(Ty::Optional(Box::new(join(a, b)?))),
        (Ty::Null, other) | (other, Ty::Null) => match other {
            Ty::Null | Ty::Object(_) | Ty::Optional(_) => Some(other.clone()),
            Ty::Plain(name) if name.contains('.') => Some(other.clone()),
            _ => None,
        },
        (a, b) => (a == b).then(|| a.clone()),
    }
}

fn result(pattern: &'static str, bound: &Bound) -> Ty {
    if let Some((_, name)) = PLAIN.iter().find(|(letter, _)| *letter == pattern) {
        return Ty::Plain(name);
    }
    match pattern.split_at(1) {
        ("A" | "B", _) => bound.get(pattern).cloned().unwrap_or(Ty::Dyn),
        ("[", inner) => Ty::List(Box::new(result(&inner[..inner.len() - 1], bound))),
        ("{", inner) => {
            let parts = split_args(&inner[..inner.len() - 1]);
            Ty::Map(Box::new(result(parts[0], bound)), Box::new(result(parts[1], bound)))
        }
        ("?", inner) => Ty::Optional(Box::new(result(inner, bound))),
        ("n", _) => Ty::Null,
        _ => Ty::Dyn,
    }
}

/// Whether there is a function of this name at all.
pub(super) fn is_known(name: &str) -> bool {
    SIGNATURES.contains_key(name)
}

/// The type of a call; `None` when no function of that name takes such arguments.
pub(super) fn call_type(name: &str, target: Option<&Ty>, args: &[Ty]) -> Option<Ty> {
    let mut found: Option<Ty> = None;
    for signature in SIGNATURES.get(name)? {
        let mut bound = Bound::new();
        let on = match (signature.target, target) {
            (None, None) => true,
            (Some(pattern), Some(ty)) => fits(pattern, ty, &mut bound),
            _ => false,
        };
        let taken = on
            && signature.args.len() == args.len()
            && signature.args.iter().zip(args).all(|(pattern, ty)| fits(pattern, ty, &mut bound));
        if taken {
            let ty = result(signature.result, &bound);
            found = Some(match found {
                Some(other) if other != ty => Ty::Dyn,
                _ => ty,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_the_type_their_arguments_give_them() {
        let list = |ty: &Ty| Ty::List(Box::new(ty.clone()));
        let table: [(&str, Option<Ty>, Vec<Ty>, Option<Ty>); 9] = [
            ("_+_", None, vec![Ty::INT, Ty::INT], Some(Ty::INT)),
            ("_+_", None, vec![Ty::INT, Ty::TEXT], None),
            ("_+_", None, vec![Ty::Dyn, Ty::INT], Some(Ty::INT)),
            ("@in", None, vec![Ty::TEXT, list(&Ty::TEXT)], Some(Ty::BOOL)),
            ("@in", None, vec![Ty::INT, list(&Ty::TEXT)], None),
            ("_[_]", None, vec![list(&Ty::TEXT), Ty::INT], Some(Ty::TEXT)),
            ("_<_", None, vec![Ty::INT, Ty::Plain("double")], Some(Ty::BOOL)),
            ("split", Some(Ty::TEXT), vec![Ty::TEXT], Some(list(&Ty::TEXT))),
            ("startsWith", Some(Ty::INT), vec![Ty::TEXT], None),
        ];
        for (name, target, args, expected) in table {
            assert_eq!(call_type(name, target.as_ref(), &args), expected, "{name} {args:?}");
        }
    }
}
