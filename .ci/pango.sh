# Installs Pango, which the PDF needs and pip cannot install. Source it from bash: on macOS and Windows it also sets
# the variable that says where Pango is.
case "$(uname -s)" in
  Linux)
    if command -v apt-get >/dev/null; then
      if [ "$(id -u)" = 0 ]; then as_root=(); else as_root=(sudo); fi
      "${as_root[@]}" apt-get update -qq
      "${as_root[@]}" apt-get install -y -qq libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 >/dev/null
    fi
    ;;
  Darwin)
    brew install --quiet pango
    # exported here and not in the workflow: macOS removes DYLD_ variables where it starts its own bash
    DYLD_FALLBACK_LIBRARY_PATH="$(brew --prefix)/lib"
    export DYLD_FALLBACK_LIBRARY_PATH
    ;;
  *)
    /c/msys64/usr/bin/pacman -S --noconfirm --needed mingw-w64-ucrt-x86_64-pango
    export WEASYPRINT_DLL_DIRECTORIES='C:\msys64\ucrt64\bin'
    ;;
esac
