//! The built-in functions by name, how their arguments are written, and what the checker knows of them.

use super::types::{GoType, Nature};

/// How the arguments of a built-in are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Expressions.
    Plain,
    /// A list and a predicate, which some may leave out, and for some one more expression.
    Predicate { optional: bool, extra: bool },
}

/// One built-in function.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
}

const PREDICATE: Shape = Shape::Predicate { optional: false, extra: false };
const OPTIONAL_PREDICATE: Shape = Shape::Predicate { optional: true, extra: false };
const PREDICATE_AND_MORE: Shape = Shape::Predicate { optional: false, extra: true };

const BUILTINS: &[Builtin] = &[
    Builtin { name: "all", shape: PREDICATE },
    Builtin { name: "none", shape: PREDICATE },
    Builtin { name: "any", shape: PREDICATE },
    Builtin { name: "one", shape: PREDICATE },
    Builtin { name: "filter", shape: PREDICATE },
    Builtin { name: "map", shape: PREDICATE },
    Builtin { name: "find", shape: PREDICATE },
    Builtin { name: "findIndex", shape: PREDICATE },
    Builtin { name: "findLast", shape: PREDICATE },
    Builtin { name: "findLastIndex", shape: PREDICATE },
    Builtin { name: "groupBy", shape: PREDICATE },
    Builtin { name: "count", shape: OPTIONAL_PREDICATE },
    Builtin { name: "sum", shape: OPTIONAL_PREDICATE },
    Builtin { name: "sortBy", shape: PREDICATE_AND_MORE },
    Builtin { name: "reduce", shape: PREDICATE_AND_MORE },
    Builtin { name: "len", shape: Shape::Plain },
    Builtin { name: "type", shape: Shape::Plain },
    Builtin { name: "abs", shape: Shape::Plain },
    Builtin { name: "ceil", shape: Shape::Plain },
    Builtin { name: "floor", shape: Shape::Plain },
    Builtin { name: "round", shape: Shape::Plain },
    Builtin { name: "int", shape: Shape::Plain },
    Builtin { name: "float", shape: Shape::Plain },
    Builtin { name: "string", shape: Shape::Plain },
    Builtin { name: "trim", shape: Shape::Plain },
    Builtin { name: "trimPrefix", shape: Shape::Plain },
    Builtin { name: "trimSuffix", shape: Shape::Plain },
    Builtin { name: "upper", shape: Shape::Plain },
    Builtin { name: "lower", shape: Shape::Plain },
    Builtin { name: "split", shape: Shape::Plain },
    Builtin { name: "splitAfter", shape: Shape::Plain },
    Builtin { name: "replace", shape: Shape::Plain },
    Builtin { name: "repeat", shape: Shape::Plain },
    Builtin { name: "join", shape: Shape::Plain },
    Builtin { name: "indexOf", shape: Shape::Plain },
    Builtin { name: "lastIndexOf", shape: Shape::Plain },
    Builtin { name: "hasPrefix", shape: Shape::Plain },
    Builtin { name: "hasSuffix", shape: Shape::Plain },
    Builtin { name: "max", shape: Shape::Plain },
    Builtin { name: "min", shape: Shape::Plain },
    Builtin { name: "mean", shape: Shape::Plain },
    Builtin { name: "median", shape: Shape::Plain },
    Builtin { name: "toJSON", shape: Shape::Plain },
    Builtin { name: "fromJSON", shape: Shape::Plain },
    Builtin { name: "toBase64", shape: Shape::Plain },
    Builtin { name: "fromBase64", shape: Shape::Plain },
    Builtin { name: "now", shape: Shape::Plain },
    Builtin { name: "duration", shape: Shape::Plain },
    Builtin { name: "date", shape: Shape::Plain },
    Builtin { name: "timezone", shape: Shape::Plain },
    Builtin { name: "first", shape: Shape::Plain },
    Builtin { name: "last", shape: Shape::Plain },
    Builtin { name: "get", shape: Shape::Plain },
    Builtin { name: "take", shape: Shape::Plain },
    Builtin { name: "keys", shape: Shape::Plain },
    Builtin { name: "values", shape: Shape::Plain },
    Builtin { name: "toPairs", shape: Shape::Plain },
    Builtin { name: "fromPairs", shape: Shape::Plain },
    Builtin { name: "reverse", shape: Shape::Plain },
    Builtin { name: "uniq", shape: Shape::Plain },
    Builtin { name: "concat", shape: Shape::Plain },
    Builtin { name: "flatten", shape: Shape::Plain },
    Builtin { name: "sort", shape: Shape::Plain },
    Builtin { name: "bitand", shape: Shape::Plain },
    Builtin { name: "bitor", shape: Shape::Plain },
    Builtin { name: "bitxor", shape: Shape::Plain },
    Builtin { name: "bitnand", shape: Shape::Plain },
    Builtin { name: "bitshl", shape: Shape::Plain },
    Builtin { name: "bitshr", shape: Shape::Plain },
    Builtin { name: "bitushr", shape: Shape::Plain },
    Builtin { name: "bitnot", shape: Shape::Plain },
];

/// The built-in of that name.
pub(crate) fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}

/// The accepted parameter lists of a built-in with plain signatures, and its result. Empty for those that look at
/// their arguments more closely.
pub(crate) fn overloads(name: &str) -> Vec<(Vec<GoType>, GoType)> {
    use GoType::{Any, Bool, Duration, Float, Int, Location, Text};
    let list = |element: GoType| GoType::List(Box::new(element));
    let texts = |count: usize, result: GoType| (vec![Text; count], result);
    match name {
        "type" | "string" | "toJSON" => vec![(vec![Any], Text)],
        "trim" => vec![texts(1, Text), texts(2, Text)],
        "trimPrefix" | "trimSuffix" => vec![texts(2, Text), texts(1, Text)],
        "upper" | "lower" | "toBase64" | "fromBase64" => vec![texts(1, Text)],
        "split" | "splitAfter" => vec![texts(2, list(Text)), (vec![Text, Text, Int], list(Text))],
        "replace" => vec![(vec![Text, Text, Text, Int], Text), texts(3, Text)],
        "repeat" => vec![(vec![Text, Int], Text)],
        "join" => vec![
            (vec![list(Text), Text], Text),
            (vec![list(Any), Text], Text),
            (vec![list(Any)], Text),
            (vec![list(Text), Text], Text),
            (vec![list(Text)], Text),
        ],
        "indexOf" | "lastIndexOf" => vec![texts(2, Int)],
        "hasPrefix" | "hasSuffix" => vec![texts(2, Bool)],
        "fromJSON" => vec![texts(1, Any)],
        "duration" => vec![texts(1, Duration)],
        "timezone" => vec![texts(1, Location)],
        "sort" => {
            let ordered = [Any, Int, Float, Text].map(|element| (vec![list(element), Text], list(Any)));
            let plain = [Any, Float, Text, Int].map(|element| (vec![list(element)], list(Any)));
            ordered.into_iter().chain(plain).collect()
        }
        "bitand" | "bitor" | "bitxor" | "bitnand" | "bitshl" | "bitshr" | "bitushr" => {
            vec![(vec![Int, Int], Int)]
        }
        "bitnot" => vec![(vec![Int], Int)],
        _ => Vec::new(),
    }
}

/// The result of a built-in that judges its arguments itself.
///
/// # Errors
/// With the words the original uses.
pub(crate) fn validate(name: &str, arguments: &[Nature]) -> Result<Nature, String> {
    let one = || match arguments {
        [only] => Ok(only),
        _ => Err(format!("invalid number of arguments (expected 1, got {})", arguments.len())),
    };
    let is_numeric = |nature: &Nature| nature.ty().is_some_and(GoType::is_numeric_kind);
    let is_list = |nature: &Nature| nature.is_unknown() || nature.is_list();
    let is_map = |nature: &Nature| nature.is_unknown() || matches!(nature.ty(), Some(GoType::Map(..)));
    let invalid =
        |argument: &Nature| Err(format!("invalid argument for {name} (type {})", printed(argument)));
    match name {
        "len" => {
            let argument = one()?;
            let fits = is_list(argument) || is_map(argument) || argument.is(&GoType::Text);
            if fits { Ok(Nature::int()) } else { invalid(argument) }
        }
        "abs" => {
            let argument = one()?;
            if argument.is_unknown() || is_numeric(argument) {
                Ok(argument.clone())
            } else {
                invalid(argument)
            }
        }
        "ceil" | "floor" | "round" => {
            let argument = one()?;
            if argument.is_unknown() || is_numeric(argument) {
                Ok(GoType::Float.into())
            } else {
                invalid(argument)
            }
        }
        "int" | "float" => {
            let argument = one()?;
            let fits = argument.is_unknown() || is_numeric(argument) || argument.is(&GoType::Text);
            let result = if name == "int" { GoType::Int } else { GoType::Float };
            if fits { Ok(result.into()) } else { invalid(argument) }
        }
        "max" | "min" | "mean" | "median" => aggregate(name, arguments),
        "first" | "last" => {
            let argument = one()?;
            match argument {
                _ if argument.is_unknown() => Ok(Nature::Unknown),
                // The declared element type counts here, not what the checker inferred.
                Nature::Typed(ty, _) if ty.is_list() => Ok(Nature::from(ty.clone()).element()),
                _ => Err(format!("cannot get {name} element from {}", printed(argument))),
            }
        }
        "take" => take(arguments),
        "keys" | "values" => {
            let argument = one()?;
            let problem = format!("cannot get {name} from {}", printed(argument));
            if is_map(argument) { Ok(GoType::any_list().into()) } else { Err(problem) }
        }
        "toPairs" => {
            let argument = one()?;
            let problem = format!("cannot transform {} to pairs", printed(argument));
            if is_map(argument) { Ok(GoType::any_list().into()) } else { Err(problem) }
        }
        "fromPairs" => {
            let argument = one()?;
            let problem = format!("cannot transform {} from pairs", printed(argument));
            let result = GoType::Map(Box::new(GoType::Any), Box::new(GoType::Any));
            if is_list(argument) { Ok(result.into()) } else { Err(problem) }
        }
        "reverse" | "uniq" | "flatten" => {
            let argument = one()?;
            let problem = format!("cannot {name} {}", printed(argument));
            if is_list(argument) { Ok(GoType::any_list().into()) } else { Err(problem) }
        }
        "concat" => match arguments.iter().find(|argument| !is_list(argument)) {
            _ if arguments.is_empty() => {
                Err("invalid number of arguments (expected at least 1, got 0)".to_owned())
            }
            Some(wrong) => Err(format!("cannot concat {}", printed(wrong))),
            None => Ok(GoType::any_list().into()),
        },
        "now" => match arguments {
            [] => Ok(GoType::Time.into()),
            [zone] if zone.is(&GoType::Location) => Ok(GoType::Time.into()),
            _ => Err(format!("invalid number of arguments (expected 0, got {})", arguments.len())),
        },
        "date" => match arguments {
            [] => Err("invalid number of arguments (expected at least 1, got 0)".to_owned()),
            [first, rest @ ..] => {
                let count = rest.len() + usize::from(!first.is(&GoType::Location));
                if count > 3 {
                    return Err(format!("invalid number of arguments (expected at most 3, got {count})"));
                }
                Ok(GoType::Time.into())
            }
        },
        _ => Err(format!("unknown builtin {name}")),
    }
}

fn aggregate(name: &str, arguments: &[Nature]) -> Result<Nature, String> {
    for argument in arguments {
        if argument.is_unknown() || argument.is_list() {
            return Ok(Nature::Unknown);
        }
        if !argument.ty().is_some_and(GoType::is_numeric_kind) {
            return Err(format!("invalid argument for {name} (type {})", printed(argument)));
        }
    }
    arguments.first().cloned().ok_or_else(|| format!("not enough arguments to call {name}"))
}

fn take(arguments: &[Nature]) -> Result<Nature, String> {
    let [list, count] = arguments else {
        return Err(format!("invalid number of arguments (expected 2, got {})", arguments.len()));
    };
    if !list.is_unknown() && !list.is_list() {
        return Err(format!("cannot take from {}", printed(list)));
    }
    let signed =
        count.ty().is_some_and(|ty| ty.is_numeric_kind() && *ty != GoType::Float && *ty != GoType::Uint64);
    if !count.is_unknown() && !signed {
        return Err(format!("cannot take {} elements", printed(count)));
    }
    Ok(match list {
        Nature::Typed(ty, _) => ty.clone().into(),
        _ => Nature::Unknown,
    })
}

/// An argument's type as the original's messages print it; nil has none, which shows.
fn printed(nature: &Nature) -> String {
    match nature {
        Nature::Typed(ty, _) => ty.to_string(),
        Nature::Unknown => "interface {}".to_owned(),
        Nature::Nil => "%!s(<nil>)".to_owned(),
    }
}

/// The method `name` of a value of type `ty`: its parameters and result.
pub(crate) fn method(ty: &GoType, name: &str) -> Option<(Vec<GoType>, GoType)> {
    use GoType::{Bool, Duration, Float, Int, Int64, Location, Month, Text, Time, Weekday};
    let (parameters, result) = match (ty, name) {
        (Time, "Year" | "Day" | "Hour" | "Minute" | "Second" | "Nanosecond" | "YearDay") => (vec![], Int),
        (Time, "Month") => (vec![], Month),
        (Time, "Weekday") => (vec![], Weekday),
        (Time, "Unix" | "UnixMilli" | "UnixMicro" | "UnixNano") => (vec![], Int64),
        (Time, "Add" | "Truncate" | "Round") => (vec![Duration], Time),
        (Time, "AddDate") => (vec![Int, Int, Int], Time),
        (Time, "Sub") => (vec![Time], Duration),
        (Time, "After" | "Before" | "Equal") => (vec![Time], Bool),
        (Time, "Compare") => (vec![Time], Int),
        (Time, "IsZero") => (vec![], Bool),
        (Time, "Format") => (vec![Text], Text),
        (Time, "UTC" | "Local") => (vec![], Time),
        (Time, "In") => (vec![Location], Time),
        (Time, "Location") => (vec![], Location),
        (Duration, "Hours" | "Minutes" | "Seconds") => (vec![], Float),
        (Duration, "Milliseconds" | "Microseconds" | "Nanoseconds") => (vec![], Int64),
        (Duration, "Abs") => (vec![], Duration),
        (Duration, "Truncate" | "Round") => (vec![Duration], Duration),
        (Time | Duration | Month | Weekday | Location, "String") => (vec![], Text),
        _ => return None,
    };
    Some((parameters, result))
}
