//! The types of Go that expressions can meet, with the names Go prints for them, and what the checker knows of a value.

use std::fmt;
use std::sync::Arc;

/// A Go type as far as expressions can tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GoType {
    /// `interface {}`: checked only while running.
    Any,
    /// `bool`
    Bool,
    /// `int`, the type of integer literals.
    Int,
    /// `int64`
    Int64,
    /// `uint64`
    Uint64,
    /// `float64`
    Float,
    /// `string`
    Text,
    /// `[]uint8`
    Bytes,
    /// `time.Time`
    Time,
    /// `time.Duration`
    Duration,
    /// `*time.Location`
    Location,
    /// `time.Month`
    Month,
    /// `time.Weekday`
    Weekday,
    /// `[]T`
    List(Box<GoType>),
    /// `[2]interface {}`, what `toPairs` makes.
    Pair,
    /// `map[K]V`
    Map(Box<GoType>, Box<GoType>),
    /// A struct with named fields.
    Struct(Arc<StructType>),
    /// A function.
    Function(Arc<Signature>),
}

/// A struct of the original that users see through its field names.
#[derive(Debug, PartialEq, Eq)]
pub struct StructType {
    /// As Go prints it, with its package.
    pub name: String,
    /// Field names and types, in order.
    pub fields: Vec<(String, GoType)>,
}

/// What a function takes and gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Parameter types.
    pub parameters: Vec<GoType>,
    /// Result type.
    pub result: GoType,
}

impl GoType {
    /// `[]interface {}`
    pub fn any_list() -> Self {
        Self::List(Box::new(Self::Any))
    }

    /// `map[string]interface {}`
    pub fn text_map() -> Self {
        Self::Map(Box::new(Self::Text), Box::new(Self::Any))
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self, Self::List(_) | Self::Pair | Self::Bytes)
    }

    /// Go's built-in integers only: a month is a number to Go but not to expressions.
    pub(crate) fn is_integer(&self) -> bool {
        matches!(self, Self::Int | Self::Int64 | Self::Uint64)
    }

    pub(crate) fn is_number(&self) -> bool {
        self.is_integer() || *self == Self::Float
    }

    /// The numbers by their memory layout, as the argument checks of some built-ins see them.
    pub(crate) fn is_numeric_kind(&self) -> bool {
        self.is_number() || matches!(self, Self::Duration | Self::Month | Self::Weekday)
    }

    fn element(&self) -> Self {
        match self {
            Self::List(element) | Self::Map(_, element) => (**element).clone(),
            // One byte prints as uint8; no expression can tell it from another integer otherwise.
            Self::Bytes => Self::Int,
            _ => Self::Any,
        }
    }
}

impl fmt::Display for GoType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("interface {}"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Int64 => f.write_str("int64"),
            Self::Uint64 => f.write_str("uint64"),
            Self::Float => f.write_str("float64"),
            Self::Text => f.write_str("string"),
            Self::Bytes => f.write_str("[]uint8"),
            Self::Time => f.write_str("time.Time"),
            Self::Duration => f.write_str("time.Duration"),
            Self::Location => f.write_str("*time.Location"),
            Self::Month => f.write_str("time.Month"),
            Self::Weekday => f.write_str("time.Weekday"),
            Self::List(element) => write!(f, "[]{element}"),
            Self::Pair => f.write_str("[2]interface {}"),
            Self::Map(key, value) => write!(f, "map[{key}]{value}"),
            Self::Struct(ty) => f.write_str(&ty.name),
            Self::Function(signature) => {
                f.write_str("func(")?;
                for (index, parameter) in signature.parameters.iter().enumerate() {
                    write!(f, "{}{parameter}", if index > 0 { ", " } else { "" })?;
                }
                write!(f, ") {}", signature.result)
            }
        }
    }
}

/// What is known of a value before it exists.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Nature {
    /// Nothing is known.
    Unknown,
    /// It is the constant nil.
    Nil,
    /// Its Go type, and for lists what their elements are, which may be more exact than the type says.
    Typed(GoType, Option<Box<Nature>>),
}

impl From<GoType> for Nature {
    fn from(ty: GoType) -> Self {
        Self::Typed(ty, None)
    }
}

impl fmt::Display for Nature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown | Self::Nil => f.write_str("unknown"),
            Self::Typed(ty, _) => ty.fmt(f),
        }
    }
}

impl Nature {
    pub(crate) fn bool() -> Self {
        GoType::Bool.into()
    }

    pub(crate) fn int() -> Self {
        GoType::Int.into()
    }

    /// A list made by the expression itself: `[]interface {}` to Go, with elements known to the checker.
    pub(crate) fn list_of(element: Nature) -> Self {
        Self::Typed(GoType::any_list(), Some(Box::new(element)))
    }

    pub(crate) fn ty(&self) -> Option<&GoType> {
        match self {
            Self::Typed(ty, _) => Some(ty),
            _ => None,
        }
    }

    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown | Self::Typed(GoType::Any, _))
    }

    pub(crate) fn is_nil(&self) -> bool {
        *self == Self::Nil
    }

    pub(crate) fn is(&self, ty: &GoType) -> bool {
        self.ty() == Some(ty)
    }

    pub(crate) fn is_integer(&self) -> bool {
        self.ty().is_some_and(GoType::is_integer)
    }

    pub(crate) fn is_number(&self) -> bool {
        self.ty().is_some_and(GoType::is_number)
    }

    pub(crate) fn is_list(&self) -> bool {
        self.ty().is_some_and(GoType::is_list)
    }

    /// The element of a list or the value of a map.
    pub(crate) fn element(&self) -> Self {
        match self {
            Self::Typed(_, Some(element)) => (**element).clone(),
            Self::Typed(ty, None) => ty.element().into(),
            _ => Self::Unknown,
        }
    }

    pub(crate) fn assignable_to(&self, target: &GoType) -> bool {
        match self {
            Self::Nil => matches!(
                target,
                GoType::Any
                    | GoType::List(_)
                    | GoType::Bytes
                    | GoType::Map(..)
                    | GoType::Function(_)
                    | GoType::Location
            ),
            Self::Unknown => false,
            Self::Typed(ty, _) => *target == GoType::Any || ty == target,
        }
    }

    pub(crate) fn assignable_to_nature(&self, target: &Self) -> bool {
        target.ty().is_some_and(|target| self.assignable_to(target))
    }

    /// Whether `==` may stand between the two.
    pub(crate) fn comparable_to(&self, other: &Self) -> bool {
        let both = |ty: GoType| self.is(&ty) && other.is(&ty);
        self.is_unknown()
            || other.is_unknown()
            || self.is_nil()
            || other.is_nil()
            || self.is_number() && other.is_number()
            || both(GoType::Duration)
            || both(GoType::Time)
            || self.is_list() && other.is_list()
            || self.assignable_to_nature(other)
    }

    /// Whether one side is unknown and the other unknown too or one of the kinds in question.
    pub(crate) fn maybe_compatible(&self, other: &Self, fits: impl Fn(&GoType) -> bool) -> bool {
        match (self.is_unknown(), other.is_unknown()) {
            (true, true) => true,
            (true, false) => other.ty().is_some_and(fits),
            (false, true) => self.ty().is_some_and(fits),
            (false, false) => false,
        }
    }
}
