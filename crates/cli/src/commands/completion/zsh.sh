#compdef kubectl-argo-rollouts
# zsh completion for kubectl-argo-rollouts
_kubectl-argo-rollouts() {
    local -a candidates
    local line
    while IFS= read -r line; do
        case "$line" in
        :*) ;;
        *$'\t'*) candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        *) candidates+=("${line//:/\\:}") ;;
        esac
    done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
    _describe 'kubectl-argo-rollouts' candidates
}
compdef _kubectl-argo-rollouts kubectl-argo-rollouts
