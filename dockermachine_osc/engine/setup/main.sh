
# ---- verbs ----------------------------------------------------------------

case ${1:-} in
early) early "$2" "${3:-}" "${4:-}" ;;
prepare) prepare ;;
report) report ;;
unpacked) unpacked ;;
install) install_from_boot ;;
serve) serve "$2" "$3" ;;
upgrade) upgrade "$2" "$3" ;;
configure) configure "$2" "$3" ;;
options) tell_options ;;
look) look "$2" ;;
leave) leave ;;
plan)
    source=${2:-auto}
    plan
    ;;
derive)
    load_settings "$2"
    derive
    ;;
*) fail "$EX_USAGE" "unknown verb '${1:-}'" ;;
esac
