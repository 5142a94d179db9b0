//! The tree of an expression.

use std::collections::BTreeSet;
use std::sync::Arc;

/// One node with its place in the text.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    /// Characters from the start of the expression.
    pub(crate) at: usize,
    /// The longest way down to a leaf; bounds every recursion over the tree.
    pub(crate) depth: usize,
    /// How many nodes there are from here down.
    pub(crate) size: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum NodeKind {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    Identifier(String),
    /// `#`, `#index`, `#acc`; the name is what follows the hash sign.
    Pointer(String),
    Unary(UnaryOperator, Box<Node>),
    Binary(BinaryOperator, Box<Node>, Box<Node>),
    /// What holds optional members: one of them meeting nil makes the whole of it nil.
    Chain(Box<Node>),
    Member(Box<Member>),
    Slice {
        base: Box<Node>,
        from: Option<Box<Node>>,
        to: Option<Box<Node>>,
    },
    Call {
        callee: Box<Node>,
        arguments: Vec<Node>,
    },
    Builtin {
        name: &'static str,
        arguments: Vec<Node>,
    },
    /// The second argument of `all`, `map` and their kin.
    Predicate(Box<Node>),
    Let {
        name: String,
        value: Box<Node>,
        body: Box<Node>,
    },
    Sequence(Vec<Node>),
    Conditional {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    /// The right side of `x in ['a', 'b']`: made by folding, and strict about what is looked up.
    TextSet(BTreeSet<Arc<str>>),
}

#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) base: Node,
    pub(crate) property: Node,
    pub(crate) optional: bool,
    /// Whether it is called at once.
    pub(crate) method: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnaryOperator {
    Not,
    Minus,
    Plus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BinaryOperator {
    Or,
    And,
    Equal,
    NotEqual,
    /// `==` between what the checker knows to be two ints or two strings: anything else met while running is an error.
    StrictEqual,
    StrictNotEqual,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    In,
    Matches,
    Contains,
    StartsWith,
    EndsWith,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Coalesce,
}

impl BinaryOperator {
    pub(crate) fn is_ordering(self) -> bool {
        matches!(self, Self::Less | Self::Greater | Self::LessOrEqual | Self::GreaterOrEqual)
    }
}

impl Node {
    pub(crate) fn new(kind: NodeKind, at: usize) -> Self {
        let (mut depth, mut size) = (0, 0);
        kind.each_child(|child| {
            depth = depth.max(child.depth);
            size += child.size;
        });
        Self { kind, at, depth: depth + 1, size: size + 1 }
    }

    /// The text of a string literal.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl NodeKind {
    fn each_child(&self, mut visit: impl FnMut(&Node)) {
        match self {
            Self::Unary(_, node) | Self::Chain(node) | Self::Predicate(node) => visit(node),
            Self::Binary(_, left, right) => {
                visit(left);
                visit(right);
            }
            Self::Member(member) => {
                visit(&member.base);
                visit(&member.property);
            }
            Self::Slice { base, from, to } => {
                visit(base);
                from.iter().chain(to).for_each(|node| visit(node));
            }
            Self::Call { callee, arguments } => {
                visit(callee);
                arguments.iter().for_each(visit);
            }
            Self::Builtin { arguments: nodes, .. } | Self::Sequence(nodes) | Self::List(nodes) => {
                nodes.iter().for_each(visit);
            }
            Self::Let { value, body, .. } => {
                visit(value);
                visit(body);
            }
            Self::Conditional { condition, then, otherwise } => {
                visit(condition);
                visit(then);
                visit(otherwise);
            }
            Self::Map(pairs) => pairs.iter().for_each(|(key, value)| {
                visit(key);
                visit(value);
            }),
            Self::Nil
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Text(_)
            | Self::Bytes(_)
            | Self::Identifier(_)
            | Self::Pointer(_)
            | Self::TextSet(_) => {}
        }
    }
}
