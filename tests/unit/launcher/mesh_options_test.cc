#include "launcher/options/mesh_options.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/error.h"

namespace longship {
namespace {

MeshShape resolve(std::optional<int> tp, std::optional<int> pp, std::vector<int> hosts) {
  return resolve_mesh({tp, pp}, hosts);
}

ErrorKind kind_of(std::optional<int> tp, std::optional<int> pp, std::vector<int> hosts) {
  try {
    resolve(tp, pp, std::move(hosts));
  } catch (const Error& error) {
    EXPECT_FALSE(error.cause().empty());
    EXPECT_FALSE(error.remedy().empty());
    return error.kind();
  }
  return ErrorKind::kInternal;
}

TEST(MeshOptions, WhatIsMissingIsRanksDividedByTheOther) {
  EXPECT_EQ(resolve(2, std::nullopt, {6}), (MeshShape{2, 3}));
  EXPECT_EQ(resolve(std::nullopt, 2, {6}), (MeshShape{3, 2}));
  EXPECT_EQ(resolve(2, 3, {6}), (MeshShape{2, 3}));
}

TEST(MeshOptions, WithBothMissingHostsAreStages) {
  EXPECT_EQ(resolve(std::nullopt, std::nullopt, {4}), (MeshShape{4, 1}));
  EXPECT_EQ(resolve(std::nullopt, std::nullopt, {2, 2, 2}), (MeshShape{2, 3}));
  EXPECT_EQ(resolve(std::nullopt, std::nullopt, {1}), (MeshShape{1, 1}));
}

TEST(MeshOptions, UnequalHostsNeedBothSizes) {
  EXPECT_EQ(kind_of(std::nullopt, std::nullopt, {2, 1}), ErrorKind::kUsage);
  EXPECT_EQ(resolve(3, std::nullopt, {2, 1}), (MeshShape{3, 1}));
}

TEST(MeshOptions, AWrongProductIsAUsageError) {
  EXPECT_EQ(kind_of(2, 2, {3}), ErrorKind::kUsage);
  EXPECT_EQ(kind_of(2, std::nullopt, {3}), ErrorKind::kUsage);
  EXPECT_EQ(kind_of(std::nullopt, 4, {3}), ErrorKind::kUsage);
  EXPECT_EQ(kind_of(0, std::nullopt, {3}), ErrorKind::kUsage);
  EXPECT_EQ(kind_of(std::nullopt, -1, {3}), ErrorKind::kUsage);
  EXPECT_EQ(kind_of(65536, 65536, {4}), ErrorKind::kUsage);
}

TEST(MeshOptions, AloneWhatIsMissingIsOne) {
  EXPECT_EQ(resolve_mesh_alone({}), (MeshShape{1, 1}));
  EXPECT_EQ(resolve_mesh_alone({.tp = 3, .pp = {}}), (MeshShape{3, 1}));
  EXPECT_EQ(resolve_mesh_alone({.tp = {}, .pp = 2}), (MeshShape{1, 2}));
  EXPECT_THROW(resolve_mesh_alone({.tp = 0, .pp = {}}), Error);
}

}  // namespace
}  // namespace longship
