# fish completion for kubectl-argo-rollouts
function __kubectl_argo_rollouts_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    $words[1] __complete $words[2..-1] "$current" 2>/dev/null | string match -v -r '^:'
end
complete -c kubectl-argo-rollouts -f -a '(__kubectl_argo_rollouts_complete)'
