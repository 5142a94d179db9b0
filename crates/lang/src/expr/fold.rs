//! What the original computes before it runs: constants, and logic with a constant on one side.
//!
//! It matters where users can see it: `x and false` is false even if `x` would fail, and `1 % 0` fails at once.

use std::collections::BTreeSet;

use super::ast::{BinaryOperator as Op, Node, NodeKind, UnaryOperator};
use super::error::EvalError;

/// Folds the tree bottom up.
///
/// # Errors
/// A constant integer division by zero.
pub(crate) fn fold(node: &mut Node) -> Result<(), EvalError> {
    for_each_child(node, &mut fold)?;
    let folded = match &mut node.kind {
        NodeKind::Unary(operator, operand) => fold_unary(*operator, &operand.kind),
        NodeKind::Binary(Op::In, _, right) => {
            if let Some(set) = text_set(&right.kind) {
                right.kind = set;
            }
            None
        }
        NodeKind::Binary(Op::And | Op::Or, _, _) => return fold_logic(node),
        NodeKind::Binary(Op::Modulo, left, right) => match (&left.kind, &right.kind) {
            (NodeKind::Int(_), NodeKind::Int(0)) => {
                return Err(EvalError::compile_at(node.at, "integer divide by zero"));
            }
            (NodeKind::Int(a), NodeKind::Int(b)) => Some(NodeKind::Int(a.wrapping_rem(*b))),
            _ => None,
        },
        NodeKind::Binary(operator, left, right) => fold_binary(*operator, &left.kind, &right.kind),
        _ => None,
    };
    if let Some(kind) = folded {
        *node = Node::new(kind, node.at);
    }
    Ok(())
}

fn fold_unary(operator: UnaryOperator, operand: &NodeKind) -> Option<NodeKind> {
    Some(match (operator, operand) {
        (UnaryOperator::Minus, NodeKind::Int(value)) => NodeKind::Int(value.wrapping_neg()),
        (UnaryOperator::Minus, NodeKind::Float(value)) => NodeKind::Float(-value),
        (UnaryOperator::Plus, NodeKind::Int(value)) => NodeKind::Int(*value),
        (UnaryOperator::Plus, NodeKind::Float(value)) => NodeKind::Float(*value),
        (UnaryOperator::Not, NodeKind::Bool(value)) => NodeKind::Bool(!value),
        _ => return None,
    })
}

fn fold_binary(operator: Op, left: &NodeKind, right: &NodeKind) -> Option<NodeKind> {
    match (operator, left, right) {
        (Op::Add, NodeKind::Text(a), NodeKind::Text(b)) => {
            return Some(NodeKind::Text(format!("{a}{b}").into()));
        }
        (Op::StrictEqual, NodeKind::Int(a), NodeKind::Int(b)) => return Some(NodeKind::Bool(a == b)),
        (Op::StrictEqual, NodeKind::Text(a), NodeKind::Text(b)) => return Some(NodeKind::Bool(a == b)),
        (Op::Equal, NodeKind::Bool(a), NodeKind::Bool(b)) => return Some(NodeKind::Bool(a == b)),
        (Op::Add, NodeKind::Int(a), NodeKind::Int(b)) => return Some(NodeKind::Int(a.wrapping_add(*b))),
        (Op::Subtract, NodeKind::Int(a), NodeKind::Int(b)) => return Some(NodeKind::Int(a.wrapping_sub(*b))),
        (Op::Multiply, NodeKind::Int(a), NodeKind::Int(b)) => return Some(NodeKind::Int(a.wrapping_mul(*b))),
        _ => {}
    }
    let number = |kind: &NodeKind| match kind {
        NodeKind::Int(value) => Some(*value as f64),
        NodeKind::Float(value) => Some(*value),
        _ => None,
    };
    let (a, b) = (number(left)?, number(right)?);
    Some(NodeKind::Float(match operator {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => a * b,
        Op::Divide => a / b,
        Op::Power => a.powf(b),
        _ => return None,
    }))
}

fn fold_logic(node: &mut Node) -> Result<(), EvalError> {
    let NodeKind::Binary(operator, left, right) = &mut node.kind else {
        return Ok(());
    };
    let constant = |node: &Node| match node.kind {
        NodeKind::Bool(value) => Some(value),
        _ => None,
    };
    // `true and x` is x, `x or true` is true, whatever x is.
    let neutral = *operator == Op::And;
    let at = node.at;
    let replacement = match (constant(left), constant(right)) {
        (Some(value), _) if value == neutral => (**right).clone(),
        (_, Some(value)) if value == neutral => (**left).clone(),
        (None, None) => return Ok(()),
        _ => Node::new(NodeKind::Bool(!neutral), at),
    };
    *node = replacement;
    Ok(())
}

/// A list of string literals, looked up by key.
fn text_set(kind: &NodeKind) -> Option<NodeKind> {
    let NodeKind::List(nodes) = kind else { return None };
    let texts: Option<BTreeSet<_>> = nodes
        .iter()
        .map(|node| match &node.kind {
            NodeKind::Text(text) => Some(text.clone()),
            _ => None,
        })
        .collect();
    texts.filter(|texts| !texts.is_empty()).map(NodeKind::TextSet)
}

fn for_each_child(
    node: &mut Node,
    visit: &mut dyn FnMut(&mut Node) -> Result<(), EvalError>,
) -> Result<(), EvalError> {
    match &mut node.kind {
        NodeKind::Unary(_, inner) | NodeKind::Chain(inner) | NodeKind::Predicate(inner) => visit(inner),
        NodeKind::Binary(_, left, right) => {
            visit(left)?;
            visit(right)
        }
        NodeKind::Member(member) => {
            visit(&mut member.base)?;
            visit(&mut member.property)
        }
        NodeKind::Slice { base, from, to } => {
            visit(base)?;
            from.iter_mut().chain(to).try_for_each(|node| visit(node))
        }
        NodeKind::Call { callee, arguments } => {
            visit(callee)?;
            arguments.iter_mut().try_for_each(visit)
        }
        NodeKind::Builtin { arguments: nodes, .. } | NodeKind::Sequence(nodes) | NodeKind::List(nodes) => {
            nodes.iter_mut().try_for_each(visit)
        }
        NodeKind::Let { value, body, .. } => {
            visit(value)?;
            visit(body)
        }
        NodeKind::Conditional { condition, then, otherwise } => {
            visit(condition)?;
            visit(then)?;
            visit(otherwise)
        }
        NodeKind::Map(pairs) => pairs.iter_mut().try_for_each(|(key, value)| {
            visit(key)?;
            visit(value)
        }),
        _ => Ok(()),
    }
}
